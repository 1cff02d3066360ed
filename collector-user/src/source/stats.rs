use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What reading has cost since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SourceStats {
    /// Files and directories opened.
    pub opens: u64,
    /// Files, directories and links read, files that were kept open included.
    pub reads: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Reads that were answered with what an earlier read of the same tick had
    /// brought.
    pub reads_saved: u64,
}

/// What reading one file, or one kind of file of all processes, has cost.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FileStats {
    /// The path on a live host. Files of processes are counted together:
    /// `/proc/*/stat`.
    pub path: Arc<str>,
    /// What it cost.
    #[serde(flatten)]
    pub cost: SourceStats,
    /// Whether it is kept open between ticks.
    pub kept_open: bool,
}

/// Counters that many threads add to.
///
/// They are statistics that order nothing, so relaxed ordering is enough.
#[derive(Debug, Default)]
pub(super) struct Counters {
    opens: AtomicU64,
    reads: AtomicU64,
    bytes: AtomicU64,
    saved: AtomicU64,
}

impl Counters {
    pub(super) fn opened(&self) {
        self.opens.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self, bytes: usize) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn saved(&self) {
        self.saved.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> SourceStats {
        SourceStats {
            opens: self.opens.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            reads_saved: self.saved.load(Ordering::Relaxed),
        }
    }
}

impl std::ops::AddAssign for SourceStats {
    fn add_assign(&mut self, other: Self) {
        self.opens += other.opens;
        self.reads += other.reads;
        self.bytes += other.bytes;
        self.reads_saved += other.reads_saved;
    }
}
