//! The eBPF programs: loaded, attached, and read through their maps.

mod report;

pub use report::{LoadReport, MissingField, ProgramReport, ProgramState};

use std::sync::Arc;

/// How the programs are loaded.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Programs to be treated as if the kernel had refused them; for tests.
    pub pretend_missing: Vec<String>,
}

/// The programs could not be loaded at all.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The rights are missing.
    #[error(
        "eBPF needs root, or CAP_BPF and CAP_PERFMON: run it with sudo, or choose --backend procfs"
    )]
    NoPermission,
    /// The kernel does not describe its types.
    #[error(
        "the kernel has no BTF at /sys/kernel/btf/vmlinux: it was built without CONFIG_DEBUG_INFO_BTF; choose --backend procfs"
    )]
    NoBtf,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// The loaded and attached programs. Dropping the last clone detaches them.
#[derive(Clone, Debug)]
pub struct Scheduler {
    report: Arc<LoadReport>,
}

impl Scheduler {
    /// Loads and attaches the programs, and finds the processes that were
    /// there before. Blocks for some tens of milliseconds.
    ///
    /// # Errors
    ///
    /// When there is no eBPF to be had: the procfs backend is then the way.
    pub fn load(_options: &LoadOptions) -> Result<Self, LoadError> {
        Err(LoadError::Other("not built yet".to_owned()))
    }

    /// What was attached, and what was not and why.
    pub fn report(&self) -> &LoadReport {
        &self.report
    }
}
