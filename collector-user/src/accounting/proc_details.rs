use std::sync::Arc;

use super::ProcessKey;

/// A request to read fields of a process from `/proc`: those that are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each field is requested independently of the others"
)]
pub(crate) struct DetailsRequest {
    pub(crate) process: ProcessKey,
    pub(crate) cgroup: bool,
    pub(crate) cmdline: bool,
    pub(crate) memory: bool,
    /// The command name, where the kernel side cannot read it.
    pub(crate) comm: bool,
    /// How often the process had been
    /// [moved](super::cgroup::CgroupMembership::moves) before.
    pub(crate) moves: u32,
    /// Its effective user ID, if known.
    pub(crate) uid: Option<u32>,
}

/// What was read from `/proc` for a [`DetailsRequest`].
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcDetails {
    pub(crate) cmdline: Option<Arc<str>>,
    pub(crate) cgroup: Option<Arc<str>>,
    /// How often the process had been moved when it was requested.
    pub(crate) moves: u32,
    pub(crate) comm: Option<Arc<str>>,
    pub(crate) rss_bytes: Option<u64>,
    pub(crate) vm_bytes: Option<u64>,
}
