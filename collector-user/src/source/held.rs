use std::sync::Arc;

use super::kept::{KeptFile, Slot};

/// A file that one reader reads at each tick, and keeps open for itself: that of
/// one process among thousands.
///
/// It is read with [`Tick::read_held`](super::Tick::read_held). From the second
/// read on it stays open, if it is of a file system of the kernel's own and
/// not too many are held already. Dropping it closes it.
#[derive(Debug)]
pub struct HeldFile {
    pub(super) path: Arc<str>,
    pub(super) file: Option<KeptFile>,
    pub(super) slot: Option<Arc<Slot>>,
    pub(super) keeping: Keeping,
}

/// Whether a held file is to stay open after the next time that it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// It was never read: what is read once only need not stay open.
    NotYet,
    /// It was read before.
    Yes,
    /// It cannot stay open.
    No,
}

impl HeldFile {
    /// A file by its path on a live host. It is not opened yet.
    pub fn new(path: String) -> Self {
        Self {
            path: path.into(),
            file: None,
            slot: None,
            keeping: Keeping::NotYet,
        }
    }
}
