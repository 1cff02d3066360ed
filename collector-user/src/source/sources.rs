use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::Tick;

/// The tree that is read, and what reading it has cost.
///
/// Cheap to clone: clones share the tree and the counters.
#[derive(Clone, Debug)]
pub struct Sources {
    root: Arc<Path>,
}

/// What reading has cost since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SourceStats {
    /// Files and directories opened.
    pub opens: u64,
    /// Reads of files, of those too that were kept open.
    pub reads: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Reads that were answered with what an earlier read of the same tick had
    /// brought.
    pub reads_saved: u64,
}

impl Sources {
    /// The live `/proc` and `/sys`.
    pub fn live() -> Self {
        Self::rooted(PathBuf::from("/"))
    }

    /// A captured tree: `DIR/proc` and `DIR/sys`.
    pub fn rooted(root: PathBuf) -> Self {
        Self { root: root.into() }
    }

    /// The directory under which `proc` and `sys` are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether this is the live tree of this host.
    pub fn is_live(&self) -> bool {
        *self.root == *Path::new("/")
    }

    /// Begins a tick: what is read through it is read once.
    pub fn tick(&self) -> Tick {
        Tick::new(self.clone())
    }

    /// What reading has cost since the start.
    pub fn stats(&self) -> SourceStats {
        SourceStats::default()
    }
}
