use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;

use super::{
    Clock, FileStats, HeldFile, SourceError, SourceStats, SystemClock, Tick, Timestamp,
    bound::Bound,
    held::Keeping,
    kept::{IDLE_NS, KeptFile, Slot},
    open::{self, Failure, Root},
    read_threads::ReadThreads,
    scratch::ScratchPool,
    stats::Counters,
};

/// The tree that is read, and what reading it has cost.
///
/// Files that are read often are kept open and read again from their
/// beginning, which saves finding and opening them. That is done for files of
/// the kernel's own file systems only: anywhere else, a file could be replaced
/// under its name. Files of processes are kept open only by who holds them as a
/// [`HeldFile`], and directories are not. A file that can no longer be read, since its device went, is
/// opened anew.
///
/// Under another root than `/`, absolute links and `..` are resolved inside
/// that root, so nothing outside it is ever read. Only regular files are read,
/// and of each kind of file no more than such a file has.
///
/// Cheap to clone: clones share the tree, the open files and the counters.
#[derive(Clone, Debug)]
pub struct Sources {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: Root,
    slots: RwLock<HashMap<Arc<str>, Arc<Slot>>>,
    total: Counters,
    scratch: ScratchPool,
    open_files: Arc<AtomicUsize>,
    max_open_files: usize,
    held_files: Arc<AtomicUsize>,
    max_held_files: usize,
    last_cleaning_ns: AtomicU64,
    page_size_bytes: OnceLock<Option<u64>>,
    read_threads: ReadThreads,
}

const PROC_SUPER_MAGIC: u64 = rustix::fs::PROC_SUPER_MAGIC as u64;
/// How many files stay open at most.
const MAX_OPEN_FILES: usize = 256;
/// How many files are held by their readers at most.
const MAX_HELD_FILES: usize = 16_384;
/// How many files are remembered at most.
const MAX_SLOTS: usize = 8192;

impl Sources {
    /// The live `/proc` and `/sys`.
    pub fn live() -> Self {
        Self::rooted(PathBuf::from("/"))
    }

    /// A captured tree: `DIR/proc` and `DIR/sys`; or those of the host, as
    /// they are mounted in a container.
    pub fn rooted(root: PathBuf) -> Self {
        // Files that stay open must leave room for everything else.
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let at_most = |most: usize| {
            limit.map_or(most, |limit| {
                most.min(usize::try_from(limit / 4).unwrap_or(most))
            })
        };
        Self {
            shared: Arc::new(Shared {
                root: Root::new(root),
                slots: RwLock::default(),
                total: Counters::default(),
                scratch: ScratchPool::default(),
                open_files: Arc::default(),
                max_open_files: at_most(MAX_OPEN_FILES),
                held_files: Arc::default(),
                max_held_files: at_most(MAX_HELD_FILES),
                last_cleaning_ns: AtomicU64::new(0),
                page_size_bytes: OnceLock::new(),
                read_threads: ReadThreads::default(),
            }),
        }
    }

    /// The directory under which `proc` and `sys` are.
    pub fn root(&self) -> &Path {
        self.shared.root.path()
    }

    /// Whether this is the live tree of this host.
    pub fn is_live(&self) -> bool {
        self.shared.root.is_live()
    }

    /// The size of a page of memory, if the tree is of this kernel: its own
    /// `/proc`, or the host's as a container sees it. Of a captured tree it is
    /// not known.
    pub fn page_size_bytes(&self) -> Option<u64> {
        *self.shared.page_size_bytes.get_or_init(|| {
            let proc = self.shared.root.open_directory("/proc").ok()?;
            let statfs = rustix::fs::fstatfs(&proc).ok()?;
            (statfs.f_type as u64 == PROC_SUPER_MAGIC).then(|| rustix::param::page_size() as u64)
        })
    }

    /// Begins a tick: what is read through it is read once. It is timed by
    /// the host's clock.
    pub fn tick(&self) -> Tick {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let now = clock.now();
        self.begin(clock, now, None)
    }

    /// Begins a tick that is timed by this clock, for the collection of these
    /// metrics.
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
        self.clean(began.monotonic_ns);
        Tick::new(self.clone(), clock, began, collected)
    }

    /// What reading has cost since the start.
    pub fn stats(&self) -> SourceStats {
        self.shared.total.get()
    }

    /// What reading each file has cost, the most often read first.
    pub fn file_stats(&self) -> Vec<FileStats> {
        let slots = self.shared.slots.read();
        let mut files: Vec<FileStats> = slots
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .map(|slot| slot.stats())
            .collect();
        files.sort_by(|a, b| {
            (b.cost.reads, &a.path)
                .partial_cmp(&(a.cost.reads, &b.path))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        files
    }

    /// How many files are open between ticks, those included that their
    /// readers hold.
    pub fn open_files(&self) -> usize {
        let kept = self.shared.open_files.load(Ordering::Relaxed);
        kept + self.shared.held_files.load(Ordering::Relaxed)
    }

    /// Looks whether there is a directory of processes to be read.
    ///
    /// # Errors
    ///
    /// When there is no directory `proc` under the root, or it cannot be opened
    /// without a link leading out of the root.
    pub fn check(&self) -> Result<(), SourceError> {
        self.shared.root.open_directory("/proc").map(drop)
    }

    /// The name of the host that the tree is of, if it tells.
    ///
    /// For the live tree, the node name of `uname`, which is the same as
    /// `/proc/sys/kernel/hostname`.
    pub fn host_name(&self) -> Option<Arc<str>> {
        if self.is_live() {
            let uname = rustix::system::uname();
            return Some(super::name_text(uname.nodename().to_bytes()).into());
        }
        let name = self.read_file("/proc/sys/kernel/hostname", 0).ok()?;
        let name = super::name_text(name.trim_ascii());
        (!name.is_empty()).then(|| name.into())
    }

    /// How many threads are blocked now in reads that only the process to which
    /// the file belongs can end.
    pub fn blocked_reads(&self) -> usize {
        self.shared.read_threads.blocked()
    }

    /// How many reads of files of processes did not return in time, since the
    /// start.
    pub fn late_reads(&self) -> u64 {
        self.shared.read_threads.late_reads()
    }

    /// The threads for reads that may block.
    pub(super) fn read_threads(&self) -> &ReadThreads {
        &self.shared.read_threads
    }

    /// Whether `/proc` is that of a running kernel, where a process can keep
    /// its files from being read.
    pub(super) fn shows_live_processes(&self) -> bool {
        self.page_size_bytes().is_some()
    }

    pub(super) fn tree(&self) -> &Root {
        &self.shared.root
    }

    /// Counts a read that was saved.
    pub(super) fn saved(&self, path: &str) {
        self.shared.total.saved();
        self.slot(path).0.counters.saved();
    }

    /// Reads a file, from the one that is kept open if there is one.
    pub(super) fn read_file(&self, path: &str, now_ns: u64) -> Result<Bytes, SourceError> {
        let (slot, of_process) = self.slot(path);
        let mut scratch = self.shared.scratch.take();
        let result = if of_process {
            self.read_opened(&slot, path, &mut scratch)
                .map(|_closed| Bytes::copy_from_slice(&scratch))
        } else {
            self.read_kept_or_opened(&slot, path, &mut scratch, now_ns)
                .map(|()| slot.store(&scratch, now_ns))
        };
        if result.is_ok() {
            self.count_read(&slot, scratch.len());
        }
        self.shared.scratch.put(scratch);
        result
    }

    /// Reads a file that its only reader holds.
    pub(super) fn read_held(&self, held: &mut HeldFile) -> Result<Bytes, SourceError> {
        let slot = match &held.slot {
            Some(slot) => Arc::clone(slot),
            None => Arc::clone(held.slot.insert(self.slot(&held.path).0)),
        };
        let mut scratch = self.shared.scratch.take();
        let kept = held.file.as_ref();
        let kept =
            kept.map(|kept| open::read_all(kept.file(), &mut scratch, Bound::of(&held.path)));
        let result = if let Some(Ok(())) = kept {
            Ok(())
        } else {
            held.file = None;
            scratch.clear();
            self.read_opened(&slot, &held.path, &mut scratch)
                .map(|file| self.hold(held, file))
        };
        let result = result.map(|()| Bytes::copy_from_slice(&scratch));
        if result.is_ok() {
            self.count_read(&slot, scratch.len());
        }
        self.shared.scratch.put(scratch);
        result
    }

    fn hold(&self, held: &mut HeldFile, file: OwnedFd) {
        match held.keeping {
            Keeping::NotYet => held.keeping = Keeping::Yes,
            Keeping::Yes if is_shown_by_the_kernel(&file) => {
                let limit = self.shared.max_held_files;
                held.file = KeptFile::new(file, &self.shared.held_files, limit).ok();
            }
            Keeping::Yes | Keeping::No => held.keeping = Keeping::No,
        }
    }

    /// Does something else than reading a file, and counts it as one read, and
    /// as one open if it is.
    pub(super) fn counted<T>(
        &self,
        path: &str,
        opens: bool,
        read: impl FnOnce(&Root) -> Result<T, SourceError>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Result<T, SourceError> {
        let (slot, _) = self.slot(path);
        if opens {
            self.count_open(&slot);
        }
        let result = read(&self.shared.root)?;
        self.count_read(&slot, bytes(&result));
        Ok(result)
    }

    fn read_kept_or_opened(
        &self,
        slot: &Slot,
        path: &str,
        scratch: &mut Vec<u8>,
        now_ns: u64,
    ) -> Result<(), SourceError> {
        if let Some(kept) = slot.take_file() {
            match open::read_all(kept.file(), scratch, Bound::of(path)) {
                Ok(()) => {
                    slot.put_file(kept);
                    return Ok(());
                }
                Err(Failure::TooLarge) => return Err(self.too_large(path)),
                // Gone, or not readable this way: opening it anew tells.
                Err(Failure::Os(_)) => scratch.clear(),
            }
        }
        let often = slot.is_read_often(now_ns);
        let file = self.read_opened(slot, path, scratch)?;
        if often {
            self.keep(slot, file);
        }
        Ok(())
    }

    fn read_opened(
        &self,
        slot: &Slot,
        path: &str,
        scratch: &mut Vec<u8>,
    ) -> Result<OwnedFd, SourceError> {
        self.count_open(slot);
        let file = self.shared.root.open_file(path)?;
        match open::read_all(&file, scratch, Bound::of(path)) {
            Ok(()) => Ok(file),
            Err(Failure::TooLarge) => Err(self.too_large(path)),
            Err(Failure::Os(errno)) => Err(SourceError::io(
                "read",
                self.shared.root.full_path(path),
                errno,
            )),
        }
    }

    fn keep(&self, slot: &Slot, file: OwnedFd) {
        if !is_shown_by_the_kernel(&file) {
            slot.refuse_to_keep();
            return;
        }
        // Beyond the bound the file is closed here, and opened at each tick.
        if let Ok(kept) = KeptFile::new(file, &self.shared.open_files, self.shared.max_open_files) {
            slot.put_file(kept);
        }
    }

    fn too_large(&self, path: &str) -> SourceError {
        self.shared.root.too_large(path, Bound::of(path).bytes)
    }

    fn count_open(&self, slot: &Slot) {
        slot.counters.opened();
        self.shared.total.opened();
    }

    fn count_read(&self, slot: &Slot, bytes: usize) {
        slot.counters.read(bytes);
        self.shared.total.read(bytes);
    }

    /// What is remembered of a file, and whether it is one of a process: those
    /// are remembered together.
    fn slot(&self, path: &str) -> (Arc<Slot>, bool) {
        let pattern = process_pattern(path);
        let name = pattern.as_deref().unwrap_or(path);
        let slots = &self.shared.slots;
        if let Some(slot) = slots
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
        {
            return (Arc::clone(slot), pattern.is_some());
        }
        let mut slots = slots.write().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_SLOTS {
            forget_the_oldest(&mut slots);
        }
        let name: Arc<str> = name.into();
        let slot = slots
            .entry(Arc::clone(&name))
            .or_insert_with(|| Arc::new(Slot::new(name)));
        (Arc::clone(slot), pattern.is_some())
    }

    /// Closes files that have not been read lately, now and then.
    fn clean(&self, now_ns: u64) {
        let last = self.shared.last_cleaning_ns.load(Ordering::Relaxed);
        if now_ns.saturating_sub(last) < IDLE_NS / 4 {
            return;
        }
        self.shared
            .last_cleaning_ns
            .store(now_ns, Ordering::Relaxed);
        let slots = self.shared.slots.read();
        for slot in slots.unwrap_or_else(PoisonError::into_inner).values() {
            slot.close_if_idle(now_ns);
        }
    }
}

/// Whether a file is of a file system whose files are made anew at each read.
fn is_shown_by_the_kernel(file: &OwnedFd) -> bool {
    const SYSFS_MAGIC: u64 = 0x6265_6572;
    const CGROUP_SUPER_MAGIC: u64 = 0x0027_e0eb;
    const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
    rustix::fs::fstatfs(file).is_ok_and(|statfs| {
        matches!(
            statfs.f_type as u64,
            PROC_SUPER_MAGIC | SYSFS_MAGIC | CGROUP_SUPER_MAGIC | CGROUP2_SUPER_MAGIC
        )
    })
}

/// Forgets the quarter of the files that was read longest ago. Their cost
/// stays in the total.
fn forget_the_oldest(slots: &mut HashMap<Arc<str>, Arc<Slot>>) {
    let mut times: Vec<Option<u64>> = slots.values().map(|slot| slot.last_read_ns()).collect();
    times.sort_unstable();
    let oldest_kept = times[times.len() / 4];
    slots.retain(|_, slot| slot.last_read_ns() > oldest_kept);
}

/// `/proc/*/stat` for `/proc/17/stat`, `/proc/*/task/*/stat` for
/// `/proc/17/task/18/stat`; `None` for what is not of a process.
fn process_pattern(path: &str) -> Option<String> {
    let rest = path.strip_prefix("/proc/")?;
    let (pid, rest) = rest.split_once('/').unwrap_or((rest, ""));
    if pid.is_empty() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(
        match rest.strip_prefix("task/").map(|task| task.split_once('/')) {
            Some(Some((_tid, file))) => format!("/proc/*/task/*/{file}"),
            _ => format!("/proc/*/{rest}"),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_processes_are_counted_together() {
        assert_eq!(
            process_pattern("/proc/17/stat").as_deref(),
            Some("/proc/*/stat")
        );
        assert_eq!(
            process_pattern("/proc/17/task/18/schedstat").as_deref(),
            Some("/proc/*/task/*/schedstat")
        );
        assert_eq!(
            process_pattern("/proc/17/task").as_deref(),
            Some("/proc/*/task")
        );
        assert_eq!(process_pattern("/proc/stat"), None);
        assert_eq!(process_pattern("/proc/self/stat"), None);
        assert_eq!(process_pattern("/sys/17/stat"), None);
    }

    #[test]
    fn a_kept_file_that_can_no_longer_be_read_is_opened_anew() {
        let sources = Sources::live();
        let (slot, _) = sources.slot("/proc/version");
        // A directory stands for the file of a device that went.
        let gone = std::fs::File::open("/proc").unwrap();
        let kept = KeptFile::new(gone.into(), &sources.shared.open_files, 8).unwrap();
        slot.put_file(kept);
        let version = sources.tick().read("/proc/version").unwrap();
        assert!(version.starts_with(b"Linux version"));
        assert_eq!(sources.stats().opens, 1);
        assert_eq!(sources.open_files(), 0);
    }

    #[test]
    fn the_number_of_remembered_files_is_bounded() {
        let sources = Sources::rooted("/nonexistent".into());
        let tick = sources.tick();
        for number in 0..MAX_SLOTS + 10 {
            assert!(tick.read(&format!("/sys/{number}")).is_err());
        }
        assert!(sources.file_stats().len() <= MAX_SLOTS);
        assert_eq!(sources.stats().opens as usize, MAX_SLOTS + 10);
    }
}
