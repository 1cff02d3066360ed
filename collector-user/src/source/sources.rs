use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Clock, FileStats, HeldFile, SourceError, SourceStats, SystemClock, Tick, Timestamp, open::Root,
    read_threads::ReadThreads, reader::Reader,
};

/// The tree that is read: `/proc` and `/sys` of this host, or below another root.
///
/// Files that are read often stay open between ticks, if they are on a file system of the
/// kernel. Files of processes stay open only in a [`HeldFile`], and directories do not.
///
/// Below another root than `/`, absolute links and `..` are resolved inside the root, so
/// that nothing outside it is read. Only regular files are read, up to a maximum size for
/// each kind of file.
///
/// Cheap to clone: clones share the tree, the open files and the counters.
#[derive(Clone, Debug)]
pub struct Sources {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    reader: Reader,
    read_threads: ReadThreads,
}

impl Sources {
    /// `/proc` and `/sys` of this host.
    pub fn live() -> Self {
        Self::rooted(PathBuf::from("/"))
    }

    /// `DIR/proc` and `DIR/sys`: a captured tree, or the host's as mounted in a container.
    pub fn rooted(root: PathBuf) -> Self {
        Self {
            shared: Arc::new(Shared {
                reader: Reader::new(Root::new(root)),
                read_threads: ReadThreads::default(),
            }),
        }
    }

    /// The directory that contains `proc` and `sys`.
    pub fn root(&self) -> &Path {
        self.tree().path()
    }

    /// Whether the root is `/`.
    pub fn is_live(&self) -> bool {
        self.tree().is_live()
    }

    /// The page size, if the root's `/proc` is that of the running kernel; `None` for a
    /// captured tree.
    pub fn page_size_bytes(&self) -> Option<u64> {
        self.shared.reader.page_size_bytes()
    }

    /// Begins a tick, timed by the system clock.
    pub fn tick(&self) -> Tick {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let now = clock.now();
        self.begin(clock, now, None)
    }

    /// Begins a tick for the collection of these metrics, timed by `clock`.
    pub fn tick_for(
        &self,
        clock: &Arc<dyn Clock>,
        began: Timestamp,
        collected: Vec<&'static str>,
    ) -> Tick {
        self.begin(Arc::clone(clock), began, Some(collected))
    }

    fn begin(
        &self,
        clock: Arc<dyn Clock>,
        began: Timestamp,
        collected: Option<Vec<&'static str>>,
    ) -> Tick {
        self.shared.reader.files().close_idle(began.monotonic_ns);
        Tick::new(self.clone(), clock, began, collected)
    }

    /// The total cost of all reads.
    pub fn stats(&self) -> SourceStats {
        self.shared.reader.stats()
    }

    /// The cost of each file, sorted by the number of reads, highest first.
    pub fn file_stats(&self) -> Vec<FileStats> {
        self.shared.reader.files().stats()
    }

    /// The number of files that are open between ticks, including held files.
    pub fn open_files(&self) -> usize {
        self.shared.reader.open_files()
    }

    /// Checks that the root has a `/proc`.
    ///
    /// # Errors
    ///
    /// When the root has no directory `proc`, or it cannot be opened without following a
    /// link out of the root.
    pub fn check(&self) -> Result<(), SourceError> {
        self.tree().open_directory("/proc").map(drop)
    }

    /// The name of the host that the tree belongs to: the node name of uname(2), or
    /// `/proc/sys/kernel/hostname` of a captured tree.
    pub fn host_name(&self) -> Option<Arc<str>> {
        if self.is_live() {
            let uname = rustix::system::uname();
            return Some(super::name_text(uname.nodename().to_bytes()).into());
        }
        let name = self.read_file("/proc/sys/kernel/hostname", 0).ok()?;
        let name = super::name_text(name.trim_ascii());
        (!name.is_empty()).then(|| name.into())
    }

    /// The machine ID (`/etc/machine-id`), if there is one.
    pub fn machine_id(&self) -> Option<Arc<str>> {
        let bytes = self.read_file("/etc/machine-id", 0).ok()?;
        super::sysfs::parse_machine_id(&bytes).map(Into::into)
    }

    /// The boot ID (`/proc/sys/kernel/random/boot_id`), if there is one.
    pub fn boot_id(&self) -> Option<Arc<str>> {
        let bytes = self.read_file("/proc/sys/kernel/random/boot_id", 0).ok()?;
        let id = super::name_text(bytes.trim_ascii());
        (!id.is_empty()).then(|| id.into())
    }

    /// The number of threads that are blocked in a read of a process' file, which only
    /// that process can unblock.
    pub fn blocked_reads(&self) -> usize {
        self.shared.read_threads.blocked()
    }

    /// The number of reads of files of processes that did not return in time.
    pub fn late_reads(&self) -> u64 {
        self.shared.read_threads.late_reads()
    }

    /// The threads for reads that may block.
    pub(super) fn read_threads(&self) -> &ReadThreads {
        &self.shared.read_threads
    }

    /// Whether `/proc` is that of the running kernel, where a process can block the reads
    /// of its files.
    pub(super) fn shows_live_processes(&self) -> bool {
        self.page_size_bytes().is_some()
    }

    pub(super) fn tree(&self) -> &Root {
        self.shared.reader.root()
    }

    /// Counts a read that was saved.
    pub(super) fn saved(&self, path: &str) {
        self.shared.reader.count_saved(path);
    }

    /// Reads a file, through the kept descriptor if there is one.
    pub(super) fn read_file(&self, path: &str, now_ns: u64) -> Result<Bytes, SourceError> {
        self.shared.reader.read(path, now_ns)
    }

    /// Reads a file through the descriptor of its [`HeldFile`] if it has one.
    pub(super) fn read_held(&self, held: &mut HeldFile) -> Result<Bytes, SourceError> {
        self.shared.reader.read_held(held)
    }

    /// Runs a read of something other than a file's content, and counts it as one read,
    /// and as one open if `opens`.
    pub(super) fn counted<T>(
        &self,
        path: &str,
        opens: bool,
        read: impl FnOnce(&Root) -> Result<T, SourceError>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Result<T, SourceError> {
        self.shared.reader.counted(path, opens, read, bytes)
    }
}
