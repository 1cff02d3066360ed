use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The cost of reads since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SourceStats {
    /// Files and directories opened.
    pub opens: u64,
    /// Reads of files, directories and links, including files that were kept open.
    pub reads: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Reads that were answered from an earlier read of the same tick.
    pub reads_saved: u64,
}

/// The cost of one file, or of one file of all processes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FileStats {
    /// The path on a live host; `/proc/*/stat` for files of processes.
    pub path: Arc<str>,
    /// The cost.
    #[serde(flatten)]
    pub cost: SourceStats,
    /// Whether it stays open between ticks.
    pub kept_open: bool,
}

/// Counters that are updated by several threads, with relaxed ordering: they do not
/// synchronize anything.
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
