use std::{
    any::Any,
    borrow::Cow,
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use bytes::Bytes;

use super::{Clock, Entries, HeldFile, ParseError, SourceError, Sources, Timestamp};

/// One tick: a source that is read through it is read once, and shared.
///
/// Concurrent readers of the same file wait for one read; readers of other files do not
/// wait. Errors are shared, too.
///
/// A tick also records the time of its reads: each collection has its own
/// [`ReadWindow`], see [`for_collection`](Self::for_collection).
///
/// Cheap to clone: clones are the same tick, and have the same window.
#[derive(Clone, Debug)]
pub struct Tick {
    inner: Arc<Inner>,
    window: Option<Arc<Window>>,
}

#[derive(Debug)]
struct Inner {
    sources: Sources,
    clock: Arc<dyn Clock>,
    began: Timestamp,
    /// The metrics that are collected in this tick; `None` for all.
    collected: Option<Vec<&'static str>>,
    files: Once<Bytes>,
    directories: Once<Arc<Entries>>,
    links: Once<Arc<PathBuf>>,
    /// Size of the contents that are held for later readers.
    held_bytes: AtomicUsize,
    shared: Mutex<HashMap<Cow<'static, str>, SharedCell>>,
}

/// The maximum size of the contents that a tick holds for later readers. They are
/// released when the tick ends.
const BUDGET_BYTES: usize = 64 * 1024 * 1024;

/// When sources were read: nanoseconds on `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadWindow {
    /// When the first read began.
    pub began_ns: u64,
    /// When the last read ended.
    pub ended_ns: u64,
}

/// A window that is widened by several threads.
#[derive(Debug)]
struct Window {
    began_ns: AtomicU64,
    ended_ns: AtomicU64,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            began_ns: AtomicU64::new(u64::MAX),
            ended_ns: AtomicU64::new(0),
        }
    }
}

impl Window {
    fn include(&self, read: ReadWindow) {
        self.began_ns.fetch_min(read.began_ns, Ordering::Relaxed);
        self.ended_ns.fetch_max(read.ended_ns, Ordering::Relaxed);
    }

    fn get(&self) -> Option<ReadWindow> {
        let began_ns = self.began_ns.load(Ordering::Relaxed);
        (began_ns != u64::MAX).then(|| ReadWindow {
            began_ns,
            ended_ns: self.ended_ns.load(Ordering::Relaxed),
        })
    }
}

/// The result of the read of one path, and its window.
type Cell<T> = Arc<OnceLock<(Result<T, SourceError>, ReadWindow)>>;

/// The result of one keyed read, and its window.
type SharedCell = Arc<OnceLock<(Arc<dyn Any + Send + Sync>, ReadWindow)>>;

/// The results by path.
#[derive(Debug)]
struct Once<T> {
    cells: Mutex<HashMap<Box<str>, Cell<T>>>,
}

/// A result of [`Once`].
struct Got<T> {
    result: Result<T, SourceError>,
    window: ReadWindow,
    /// Whether it comes from an earlier read.
    saved: bool,
}

impl<T: Clone> Once<T> {
    fn new() -> Self {
        Self {
            cells: Mutex::default(),
        }
    }

    fn get(
        &self,
        path: &str,
        clock: &dyn Clock,
        read: impl FnOnce() -> Result<T, SourceError>,
    ) -> Got<T> {
        let cell = {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            match cells.get(path) {
                Some(cell) => Arc::clone(cell),
                None => Arc::clone(cells.entry(path.into()).or_default()),
            }
        };
        // The map is not locked here, so a read that hangs blocks no reader
        // of another path.
        let mut saved = true;
        let (result, window) = cell.get_or_init(|| {
            saved = false;
            timed(clock, read)
        });
        Got {
            result: result.clone(),
            window: *window,
            saved,
        }
    }
}

/// What a read gives, and when it was made.
fn timed<T>(clock: &dyn Clock, read: impl FnOnce() -> T) -> (T, ReadWindow) {
    let began_ns = clock.monotonic_ns();
    let result = read();
    let ended_ns = clock.monotonic_ns();
    (result, ReadWindow { began_ns, ended_ns })
}

impl Tick {
    pub(super) fn new(
        sources: Sources,
        clock: Arc<dyn Clock>,
        began: Timestamp,
        collected: Option<Vec<&'static str>>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                sources,
                clock,
                began,
                collected,
                files: Once::new(),
                directories: Once::new(),
                links: Once::new(),
                held_bytes: AtomicUsize::new(0),
                shared: Mutex::default(),
            }),
            window: Some(Arc::default()),
        }
    }

    /// The same tick for another collection, with a window of its own. An earlier read of
    /// the tick widens the window when the collection uses it.
    #[must_use]
    pub fn for_collection(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            window: Some(Arc::default()),
        }
    }

    /// The same tick, for reads that do not widen the window: of sources that do not change
    /// during a collection, such as the command line of a process.
    #[must_use]
    pub fn untimed(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            window: None,
        }
    }

    /// The tree that is read.
    pub fn sources(&self) -> &Sources {
        &self.inner.sources
    }

    /// The start of this tick on the wall clock. For the time of reads see
    /// [`window`](Self::window).
    pub fn began_at(&self) -> SystemTime {
        self.inner.began.wall
    }

    /// The start of this tick, in nanoseconds on `CLOCK_MONOTONIC`.
    pub fn monotonic_ns(&self) -> u64 {
        self.inner.began.monotonic_ns
    }

    /// The current time on the clock of this tick.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Whether a metric is collected in this tick. True for every metric if the tick was
    /// begun without a list of metrics.
    pub fn collects(&self, metric: &str) -> bool {
        let collected = self.inner.collected.as_ref();
        collected.is_none_or(|metrics| metrics.contains(&metric))
    }

    /// The window of the reads of this collection so far; `None` without any.
    pub fn window(&self) -> Option<ReadWindow> {
        self.window.as_ref().and_then(|window| window.get())
    }

    /// Adds the window of a read that does not go through this tick, such as one of the
    /// memory of a BPF map.
    pub fn note_read(&self, window: ReadWindow) {
        if let Some(own) = &self.window {
            own.include(window);
        }
    }

    /// What is read under a key, once in this tick: the dump of a netlink
    /// family, the `statvfs` of a mount point, the maps of the programs. A
    /// thread that asks for the key while it is read waits. The window of the
    /// read is that of what `read` reads through the tick that it is given, or
    /// that it notes there; else that of the call.
    ///
    /// An error is shared as well if `T` is a `Result`. `None` if the key was
    /// used for another type.
    ///
    /// ```
    /// use collector::source::{Sources, Tick};
    /// use rustix::{fs::StatVfs, io::Errno};
    ///
    /// /// The first collector that asks makes the call, the others share it.
    /// fn statvfs(tick: &Tick, mount_point: &str) -> Option<Result<u64, Errno>> {
    ///     let read = |_tick: &Tick| rustix::fs::statvfs(mount_point);
    ///     let shared = tick.shared(format!("statvfs {mount_point}"), read)?;
    ///     let available = |file_system: &StatVfs| file_system.f_bavail * file_system.f_frsize;
    ///     Some(shared.as_ref().as_ref().map(available).map_err(|errno| *errno))
    /// }
    ///
    /// let tick = Sources::live().tick();
    /// assert_eq!(statvfs(&tick, "/"), statvfs(&tick, "/"));
    /// ```
    pub fn shared<T: Any + Send + Sync>(
        &self,
        key: impl Into<Cow<'static, str>>,
        read: impl FnOnce(&Self) -> T,
    ) -> Option<Arc<T>> {
        let cell = {
            let shared = self.inner.shared.lock();
            let mut shared = shared.unwrap_or_else(PoisonError::into_inner);
            Arc::clone(shared.entry(key.into()).or_default())
        };
        let (value, window) = cell.get_or_init(|| {
            let inside = self.for_collection();
            let (value, called) = timed(&*self.inner.clock, || read(&inside));
            let window = inside.window().unwrap_or(called);
            (Arc::new(value) as Arc<dyn Any + Send + Sync>, window)
        });
        self.note_read(*window);
        Arc::clone(value).downcast().ok()
    }

    /// The content of a file, named by its path on a live host: `/proc/stat`.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or read, is not a regular file, is too large, or the
    /// budget of the tick is exhausted.
    pub fn read(&self, path: &str) -> Result<Bytes, SourceError> {
        let sources = &self.inner.sources;
        let read = || {
            let content = sources.read_file(path, self.inner.began.monotonic_ns)?;
            self.hold(path, content.len()).map(|()| content)
        };
        let got = self.inner.files.get(path, &*self.inner.clock, read);
        self.take(path, got)
    }

    /// The content of a file that has no other reader in this tick, such as one of a new
    /// process. It is not held for later readers: copies of many small files would fragment
    /// the memory.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn read_once(&self, path: &str) -> Result<Bytes, SourceError> {
        let sources = &self.inner.sources;
        if self.window.is_none() {
            return sources.read_file(path, self.inner.began.monotonic_ns);
        }
        let (result, window) = timed(&*self.inner.clock, || {
            sources.read_file(path, self.inner.began.monotonic_ns)
        });
        if result.is_ok() {
            self.note_read(window);
        }
        result
    }

    /// The content of a file that this reader holds open. Other readers of the file in this
    /// tick share it.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn read_held(&self, file: &mut HeldFile) -> Result<Bytes, SourceError> {
        let sources = &self.inner.sources;
        let path = Arc::clone(&file.path);
        let read = || {
            let content = sources.read_held(file)?;
            self.hold(&path, content.len()).map(|()| content)
        };
        let got = self.inner.files.get(&path, &*self.inner.clock, read);
        self.take(&path, got)
    }

    /// The result of a parser for a file. The parser is a pure function of bytes.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read), and those of the parser, with the path of the file.
    pub fn parse<T>(
        &self,
        path: &str,
        parser: impl FnOnce(&[u8]) -> Result<T, ParseError>,
    ) -> Result<T, SourceError> {
        parser(&self.read(path)?).map_err(|error| {
            SourceError::malformed(self.inner.sources.tree().full_path(path), &error)
        })
    }

    /// The names in a directory.
    ///
    /// # Errors
    ///
    /// When it cannot be opened or read, or is not a directory.
    pub fn read_dir(&self, path: &str) -> Result<Arc<Entries>, SourceError> {
        let sources = &self.inner.sources;
        let read = || {
            let entries = sources.counted(
                path,
                true,
                |root| root.read_dir(path).map(Arc::new),
                |entries| entries.bytes(),
            )?;
            self.hold(path, entries.bytes()).map(|()| entries)
        };
        let got = self.inner.directories.get(path, &*self.inner.clock, read);
        self.take(path, got)
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not a link.
    pub fn read_link(&self, path: &str) -> Result<Arc<PathBuf>, SourceError> {
        let sources = &self.inner.sources;
        let read = || {
            sources.counted(
                path,
                // Links of the live tree are read by path, without an open.
                !sources.is_live(),
                |root| root.read_link(path).map(Arc::new),
                |target| target.as_os_str().len(),
            )
        };
        let got = self.inner.links.get(path, &*self.inner.clock, read);
        self.take(path, got)
    }

    /// Counts content that is held until the tick ends.
    fn hold(&self, path: &str, bytes: usize) -> Result<(), SourceError> {
        let held = self.inner.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        if held.saturating_add(bytes) <= BUDGET_BYTES {
            return Ok(());
        }
        self.inner.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        Err(SourceError::TickFull {
            path: self.inner.sources.tree().full_path(path),
            budget: BUDGET_BYTES,
        })
    }

    /// Counts a read that was saved, and widens the window by a successful read.
    fn take<T>(&self, path: &str, got: Got<T>) -> Result<T, SourceError> {
        if got.saved {
            self.inner.sources.saved(path);
        }
        if got.result.is_ok() {
            self.note_read(got.window);
        }
        got.result
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Barrier, sync::mpsc, thread};

    use super::{super::SystemClock, *};

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    fn sources(root: &tempfile::TempDir) -> Sources {
        Sources::rooted(root.path().to_owned())
    }

    #[test]
    fn a_file_is_read_once_a_tick_by_concurrent_readers() {
        let root = tree(&[("proc/stat", "cpu 1 2 3 4\n")]);
        let sources = sources(&root);
        let tick = sources.tick();
        let barrier = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    assert_eq!(tick.read("/proc/stat").unwrap(), "cpu 1 2 3 4\n");
                });
            }
        });
        let stats = sources.stats();
        assert_eq!((stats.opens, stats.reads, stats.reads_saved), (1, 1, 7));
        assert_eq!(stats.bytes, 12);
        assert_eq!(&*sources.file_stats()[0].path, "/proc/stat");
        assert_eq!(sources.file_stats()[0].cost, stats);
    }

    #[test]
    fn an_error_is_shared() {
        let root = tree(&[]);
        let sources = sources(&root);
        let tick = sources.tick();
        for _ in 0..3 {
            let error = tick.read("/proc/stat").unwrap_err();
            assert!(error.is_not_found(), "{error}");
            assert!(error.to_string().contains("proc/stat"), "{error}");
        }
        assert_eq!(sources.stats().opens, 1);
        assert_eq!(sources.stats().reads, 0);
    }

    #[test]
    fn a_read_that_hangs_blocks_only_readers_of_the_same_path() {
        let once = Arc::new(Once::<u32>::new());
        let (release, hang) = mpsc::channel::<()>();
        let (began, has_begun) = mpsc::channel();
        let hung = thread::spawn({
            let once = Arc::clone(&once);
            move || {
                once.get("/proc/hung", &SystemClock, || {
                    began.send(()).unwrap();
                    hang.recv().unwrap();
                    Ok(1)
                })
            }
        });
        has_begun.recv().unwrap();
        let other = once.get("/proc/other", &SystemClock, || Ok(2));
        assert_eq!((other.result.unwrap(), other.saved), (2, false));
        release.send(()).unwrap();
        assert_eq!(hung.join().unwrap().result.unwrap(), 1);
        let again = once.get("/proc/hung", &SystemClock, || Ok(3));
        assert_eq!((again.result.unwrap(), again.saved), (1, true));
    }

    #[test]
    fn a_file_of_proc_that_is_read_in_each_tick_stays_open_and_is_read_again() {
        let sources = Sources::live();
        let before = fs::read("/proc/self/oom_score_adj").unwrap();
        let lowest: i32 = str::from_utf8(before.trim_ascii())
            .unwrap()
            .parse()
            .unwrap();
        for step in 0..5 {
            let score = lowest.max(0) + step;
            fs::write("/proc/self/oom_score_adj", score.to_string()).unwrap();
            let content = sources.tick().read("/proc/self/oom_score_adj").unwrap();
            assert_eq!(content, format!("{score}\n"));
        }
        let stats = sources.stats();
        assert_eq!((stats.opens, stats.reads), (2, 5));
        assert_eq!(sources.open_files(), 1);
        assert!(sources.file_stats()[0].kept_open);
    }

    #[test]
    fn a_held_file_stays_open_from_its_second_read_until_it_is_dropped() {
        let sources = Sources::live();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let mut held = HeldFile::new(format!("/proc/{}/schedstat", child.id()));
        for _ in 0..5 {
            sources.tick().read_held(&mut held).unwrap();
        }
        let stats = sources.stats();
        assert_eq!((stats.opens, stats.reads), (2, 5));
        assert_eq!(sources.open_files(), 1);
        assert_eq!(&*sources.file_stats()[0].path, "/proc/*/schedstat");
        child.kill().unwrap();
        child.wait().unwrap();
        let error = sources.tick().read_held(&mut held).unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert_eq!(sources.open_files(), 0);
    }

    #[test]
    fn a_held_file_of_a_captured_tree_is_opened_at_each_read() {
        let root = tree(&[("proc/7/schedstat", "1 2 3\n")]);
        let sources = sources(&root);
        let mut held = HeldFile::new("/proc/7/schedstat".to_owned());
        for _ in 0..4 {
            assert_eq!(sources.tick().read_held(&mut held).unwrap(), "1 2 3\n");
        }
        assert_eq!(sources.stats().opens, 4);
        assert_eq!(sources.open_files(), 0);
    }

    #[test]
    fn the_buffer_of_a_content_is_reused_when_it_is_not_referenced() {
        let sources = Sources::live();
        let read = || sources.tick().read("/proc/version").unwrap();
        drop((read(), read()));
        let held = read();
        let held_at = held.as_ptr();
        let meanwhile = read();
        assert_ne!(meanwhile.as_ptr(), held_at);
        assert_eq!(meanwhile, held);
        drop((held, meanwhile));
        let places: Vec<_> = (0..20).map(|_| read().as_ptr()).collect();
        let mut distinct = places.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert!(distinct.len() <= 4, "{places:?}");
    }

    #[test]
    fn files_of_processes_are_not_kept_open() {
        let sources = Sources::live();
        let path = format!("/proc/{}/stat", std::process::id());
        for _ in 0..4 {
            sources.tick().read(&path).unwrap();
        }
        assert_eq!(sources.open_files(), 0);
        assert_eq!(sources.stats().opens, 4);
    }

    #[test]
    fn a_file_of_a_captured_tree_that_is_replaced_is_seen() {
        let root = tree(&[("proc/loadavg", "old")]);
        let sources = sources(&root);
        for _ in 0..3 {
            assert_eq!(sources.tick().read("/proc/loadavg").unwrap(), "old");
        }
        fs::write(root.path().join("new"), "new").unwrap();
        fs::rename(root.path().join("new"), root.path().join("proc/loadavg")).unwrap();
        assert_eq!(sources.tick().read("/proc/loadavg").unwrap(), "new");
        assert_eq!(sources.open_files(), 0);
    }

    #[test]
    fn a_fifo_is_rejected_without_blocking() {
        let root = tree(&[("proc/x", "")]);
        let path = root.path().join("proc/meminfo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let error = sources(&root).tick().read("/proc/meminfo").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{} is a FIFO, not a regular file", path.display())
        );
        let error = sources(&root).tick().read("/proc").unwrap_err();
        assert!(error.to_string().contains("is a directory"), "{error}");
    }

    #[test]
    fn a_device_is_refused_instead_of_read() {
        let error = Sources::live().tick().read("/dev/zero").unwrap_err();
        let refused = "/dev/zero is a device, not a regular file";
        assert_eq!(error.to_string(), refused);
        // Below another root the same path is that of the tree.
        let dev = Sources::rooted(PathBuf::from("/dev"));
        let error = dev.tick().read("/zero").unwrap_err();
        assert_eq!(error.to_string(), refused);
    }

    #[test]
    fn a_huge_file_is_an_error_with_its_path() {
        let root = tree(&[("proc/stat", "")]);
        let file = fs::File::create(root.path().join("proc/stat")).unwrap();
        file.set_len(1 << 40).unwrap();
        let error = sources(&root).tick().read("/proc/stat").unwrap_err();
        let shown = error.to_string();
        assert!(
            shown.contains("proc/stat is larger than 33554432 bytes"),
            "{shown}"
        );
        assert_eq!(sources(&root).stats().bytes, 0);
    }

    #[test]
    fn each_kind_of_file_has_a_maximum_size() {
        let long = "x".repeat(3 << 20);
        let root = tree(&[
            ("proc/7/cmdline", &long),
            ("proc/7/status", &long),
            ("proc/net/tcp", &long),
            ("proc/sys/kernel/hostname", &long),
            ("sys/class/net/a/address", &long),
            ("etc/machine-id", &long),
        ]);
        let sources = sources(&root);
        let tick = sources.tick();
        // The command line is truncated, a table may be long, and the others are rejected.
        assert_eq!(tick.read("/proc/7/cmdline").unwrap().len(), 8192);
        assert_eq!(tick.read_once("/proc/7/cmdline").unwrap().len(), 8192);
        assert_eq!(tick.read("/proc/net/tcp").unwrap().len(), 3 << 20);
        for path in [
            "/proc/7/status",
            "/proc/sys/kernel/hostname",
            "/sys/class/net/a/address",
            "/etc/machine-id",
        ] {
            let error = tick.read(path).unwrap_err();
            assert!(matches!(error, SourceError::TooLarge { .. }), "{error}");
        }
        assert_eq!(sources.stats().bytes, (3 << 20) + 2 * 8192);
    }

    #[test]
    fn a_tick_holds_at_most_its_budget_and_the_next_one_starts_at_zero() {
        let long = "x".repeat(16 << 20);
        let root = tree(&[("proc/a", &long), ("proc/b", "short\n")]);
        let links: Vec<String> = (0..6).map(|number| format!("/proc/link{number}")).collect();
        for link in &links {
            std::os::unix::fs::symlink("a", root.path().join(&link[1..])).unwrap();
        }
        let sources = sources(&root);
        for _ in 0..2 {
            let tick = sources.tick();
            let read = |path: &String| tick.read(path);
            let errors: Vec<SourceError> =
                links.iter().filter_map(|path| read(path).err()).collect();
            assert_eq!(errors.len(), 2);
            assert_eq!(
                errors[0].to_string(),
                format!(
                    "{} is not read: the tick would hold more than 67108864 bytes",
                    root.path().join("proc/link4").display()
                )
            );
            assert!(tick.read("/proc/b").is_err());
            // Content that is not shared does not count.
            assert!(tick.read_once("/proc/a").is_ok());
        }
    }

    #[test]
    fn names_that_are_not_utf8_are_listed_and_can_be_opened() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
        let root = tree(&[("sys/class/net/lo/ifindex", "1")]);
        let folder = root.path().join("sys/class/net");
        for (name, content) in [(&b"\xff\xfebr"[..], "2"), (b"\\xff\\xfebr", "3")] {
            let folder = folder.join(OsStr::from_bytes(name));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("ifindex"), content).unwrap();
        }
        for sources in [sources(&root), Sources::live()] {
            let base = if sources.is_live() {
                folder.to_str().unwrap().to_owned()
            } else {
                "/sys/class/net".to_owned()
            };
            let tick = sources.tick();
            let entries = tick.read_dir(&base).unwrap();
            let mut found: Vec<(String, String)> = entries
                .iter()
                .map(|name| {
                    let content = tick.read(&format!("{base}/{name}/ifindex")).unwrap();
                    let content = String::from_utf8(content.to_vec()).unwrap();
                    (content, name.to_owned())
                })
                .collect();
            found.sort();
            let names: Vec<&str> = found.iter().map(|(_, name)| &**name).collect();
            assert_eq!(names, ["lo", "\\xff\\xfebr", "\\x5cxff\\x5cxfebr"]);
        }
    }

    #[test]
    fn control_characters_of_a_path_are_escaped_in_the_error() {
        let root = tree(&[("proc/x", "")]);
        let error = sources(&root).tick().read("/proc/\x1b[2J\n/\u{202e}");
        let shown = error.unwrap_err().to_string();
        assert!(shown.contains("proc/\\x1b[2J\\n/\\u{202e}"), "{shown}");
    }

    #[test]
    fn links_of_a_captured_tree_stay_inside_it() {
        let root = tree(&[
            ("proc/1/mounts", "captured"),
            ("sys/devices/a/value", "7"),
            ("etc/hostname", "captured"),
        ]);
        let link = |target: &str, name: &str| {
            let name = root.path().join(name);
            fs::create_dir_all(name.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, name).unwrap();
        };
        link("1", "proc/self");
        link("/proc/self/mounts", "proc/mounts");
        link("../../devices/a", "sys/class/x/a");
        link("../../../../../../../etc/hostname", "proc/escape");
        link("/etc/passwd", "proc/passwd");
        let sources = sources(&root);
        let tick = sources.tick();
        assert_eq!(tick.read("/proc/mounts").unwrap(), "captured");
        assert_eq!(tick.read("/sys/class/x/a/value").unwrap(), "7");
        assert_eq!(tick.read("/proc/escape").unwrap(), "captured");
        assert!(tick.read("/proc/passwd").unwrap_err().is_not_found());
        let target = tick.read_link("/sys/class/x/a").unwrap();
        assert_eq!(target.to_str(), Some("../../devices/a"));
    }

    #[test]
    fn a_directory_is_listed_once_a_tick() {
        let root = tree(&[("proc/1/stat", ""), ("proc/12/stat", ""), ("proc/stat", "")]);
        let sources = sources(&root);
        let tick = sources.tick();
        for _ in 0..2 {
            assert_eq!(tick.read_dir("/proc").unwrap().numbered(""), [1, 12]);
        }
        assert_eq!(sources.stats().opens, 1);
        assert_eq!(sources.stats().reads_saved, 1);
    }

    #[test]
    fn each_collection_has_the_window_of_its_reads() {
        let root = tree(&[("proc/stat", "1\n"), ("proc/loadavg", "2\n")]);
        let tick = sources(&root).tick();
        let (first, second) = (tick.for_collection(), tick.for_collection());
        assert_eq!(first.window(), None);
        first.read("/proc/stat").unwrap();
        let of_stat = first.window().unwrap();
        thread::sleep(std::time::Duration::from_millis(2));
        first.read("/proc/loadavg").unwrap();
        let of_both = first.window().unwrap();
        assert_eq!(of_both.began_ns, of_stat.began_ns);
        assert!(of_both.ended_ns > of_stat.ended_ns);
        // It was read before the second collection used it.
        second.read("/proc/stat").unwrap();
        assert_eq!(second.window(), Some(of_stat));
        let untimed = second.untimed();
        untimed.read("/proc/loadavg").unwrap();
        untimed.read_once("/proc/loadavg").unwrap();
        assert!(untimed.read("/proc/missing").is_err());
        assert_eq!((untimed.window(), second.window()), (None, Some(of_stat)));
    }

    #[test]
    fn a_keyed_read_runs_once_and_its_window_is_shared() {
        let root = tree(&[("proc/stat", "1\n")]);
        let tick = sources(&root).tick();
        let (first, second) = (tick.for_collection(), tick.for_collection());
        let window = ReadWindow {
            began_ns: 5,
            ended_ns: 7,
        };
        let made = first.shared("maps", |inside| {
            inside.note_read(window);
            inside.untimed().read("/proc/stat").unwrap()
        });
        assert_eq!(made.as_deref().unwrap(), "1\n");
        let again = second.shared("maps", |_| -> Bytes { panic!("it was read twice") });
        assert!(Arc::ptr_eq(&made.unwrap(), &again.unwrap()));
        assert_eq!(first.window(), Some(window));
        assert_eq!(second.window(), Some(window));
        assert!(second.shared("maps", |_| 1_u32).is_none());
    }
}
