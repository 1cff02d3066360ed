use std::sync::Arc;

use super::{kept_file::KeptFile, slot::Slot};

/// A file that one reader reads in every tick and keeps open for itself, such as a file of
/// one process among thousands.
///
/// It is read with [`Tick::read_held`](super::Tick::read_held). From the second read on it
/// stays open, if it is on a file system of the kernel and the limit of held files is not
/// reached. A drop closes it.
#[derive(Debug)]
pub struct HeldFile {
    pub(super) path: Arc<str>,
    pub(super) file: Option<KeptFile>,
    pub(super) slot: Option<Arc<Slot>>,
    pub(super) keeping: Keeping,
}

/// Whether a held file stays open after the next open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// Not read yet: a file that is read once does not stay open.
    NotYet,
    /// Read before.
    Yes,
    /// It cannot stay open.
    No,
}

impl HeldFile {
    /// A file by its path on a live host. It is opened by the first read.
    pub fn new(path: String) -> Self {
        Self {
            path: path.into(),
            file: None,
            slot: None,
            keeping: Keeping::NotYet,
        }
    }
}
