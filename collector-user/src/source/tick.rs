use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;

use super::{Entries, HeldFile, ParseError, SourceError, Sources};

/// One tick: what is read through it is read once, and shared.
///
/// Threads that want the same file at the same time wait for the one read;
/// threads that want another file do not. An error is shared as well.
///
/// Cheap to clone: clones are the same tick.
#[derive(Clone, Debug)]
pub struct Tick {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    sources: Sources,
    began_at: SystemTime,
    monotonic_ns: u64,
    files: Once<Bytes>,
    directories: Once<Arc<Entries>>,
    links: Once<Arc<PathBuf>>,
}

/// What one path gave, once it was read.
type Cell<T> = Arc<OnceLock<Result<T, SourceError>>>;

/// What each path gave.
#[derive(Debug)]
struct Once<T> {
    cells: Mutex<HashMap<Box<str>, Cell<T>>>,
}

impl<T: Clone> Once<T> {
    fn new() -> Self {
        Self {
            cells: Mutex::default(),
        }
    }

    /// What the path gave, and whether it had been read before.
    fn get(
        &self,
        path: &str,
        read: impl FnOnce() -> Result<T, SourceError>,
    ) -> (Result<T, SourceError>, bool) {
        let cell = {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            match cells.get(path) {
                Some(cell) => Arc::clone(cell),
                None => Arc::clone(cells.entry(path.into()).or_default()),
            }
        };
        // The map is not locked here, so a read that hangs holds up nobody
        // who wants another path.
        let mut saved = true;
        let content = cell.get_or_init(|| {
            saved = false;
            read()
        });
        (content.clone(), saved)
    }
}

impl Tick {
    pub(super) fn new(sources: Sources, began_at: SystemTime, monotonic_ns: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                sources,
                began_at,
                monotonic_ns,
                files: Once::new(),
                directories: Once::new(),
                links: Once::new(),
            }),
        }
    }

    /// The tree that is read.
    pub fn sources(&self) -> &Sources {
        &self.inner.sources
    }

    /// When this tick began, by the wall clock.
    pub fn began_at(&self) -> SystemTime {
        self.inner.began_at
    }

    /// When this tick began: nanoseconds on `CLOCK_MONOTONIC`.
    pub fn monotonic_ns(&self) -> u64 {
        self.inner.monotonic_ns
    }

    /// The content of a file, named by its path on a live host: `/proc/stat`.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or read, is no regular file, or has more
    /// than 32 MiB.
    pub fn read(&self, path: &str) -> Result<Bytes, SourceError> {
        let sources = &self.inner.sources;
        let read = || sources.read_file(path, self.inner.monotonic_ns);
        let (content, saved) = self.inner.files.get(path, read);
        if saved {
            sources.saved(path);
        }
        content
    }

    /// The content of a file that nobody else reads in this tick, such as one
    /// of a process that has just begun. It is not kept for others: of many
    /// small files the copies would be in the way of what stays in memory.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn read_once(&self, path: &str) -> Result<Bytes, SourceError> {
        let sources = &self.inner.sources;
        sources.read_file(path, self.inner.monotonic_ns)
    }

    /// The content of a file that is held open by this reader. Others who want
    /// the file in this tick share it.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn read_held(&self, file: &mut HeldFile) -> Result<Bytes, SourceError> {
        let sources = &self.inner.sources;
        let path = Arc::clone(&file.path);
        let read = || sources.read_held(file);
        let (content, saved) = self.inner.files.get(&path, read);
        if saved {
            sources.saved(&path);
        }
        content
    }

    /// What a parser makes of a file. The parser is a pure function of bytes.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read), and those of the parser, to which the
    /// name of the file is added.
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
    /// When it cannot be opened or read, or is no directory.
    pub fn read_dir(&self, path: &str) -> Result<Arc<Entries>, SourceError> {
        let sources = &self.inner.sources;
        let read = || {
            sources.counted(
                path,
                true,
                |root| root.read_dir(path).map(Arc::new),
                |entries| entries.bytes(),
            )
        };
        let (entries, saved) = self.inner.directories.get(path, read);
        if saved {
            sources.saved(path);
        }
        entries
    }

    /// What a symbolic link says.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is no link.
    pub fn read_link(&self, path: &str) -> Result<Arc<PathBuf>, SourceError> {
        let sources = &self.inner.sources;
        let read = || {
            sources.counted(
                path,
                // The links of the live tree are read by their names.
                !sources.is_live(),
                |root| root.read_link(path).map(Arc::new),
                |target| target.as_os_str().len(),
            )
        };
        let (target, saved) = self.inner.links.get(path, read);
        if saved {
            sources.saved(path);
        }
        target
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Barrier, sync::mpsc, thread};

    use super::*;

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
    fn a_file_is_read_once_a_tick_however_many_threads_want_it() {
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
    fn an_error_is_shared_like_a_content() {
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
    fn a_read_that_hangs_delays_only_those_who_want_the_same_path() {
        let once = Arc::new(Once::<u32>::new());
        let (release, hang) = mpsc::channel::<()>();
        let (began, has_begun) = mpsc::channel();
        let hung = thread::spawn({
            let once = Arc::clone(&once);
            move || {
                once.get("/proc/hung", || {
                    began.send(()).unwrap();
                    hang.recv().unwrap();
                    Ok(1)
                })
            }
        });
        has_begun.recv().unwrap();
        let (other, saved) = once.get("/proc/other", || Ok(2));
        assert_eq!((other.unwrap(), saved), (2, false));
        release.send(()).unwrap();
        assert_eq!(hung.join().unwrap().0.unwrap(), 1);
        let (again, saved) = once.get("/proc/hung", || Ok(3));
        assert_eq!((again.unwrap(), saved), (1, true));
    }

    #[test]
    fn a_file_of_proc_that_is_read_at_each_tick_stays_open_and_is_read_anew() {
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
    fn the_memory_of_a_content_is_used_again_when_nobody_holds_it() {
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
    fn a_fifo_is_refused_at_once_instead_of_waited_for() {
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
    fn a_file_without_end_is_an_error_that_names_it() {
        let root = tree(&[("proc/stat", "")]);
        let file = fs::File::create(root.path().join("proc/stat")).unwrap();
        file.set_len(1 << 40).unwrap();
        let error = sources(&root).tick().read("/proc/stat").unwrap_err();
        let shown = error.to_string();
        assert!(
            shown.contains("proc/stat has more than 33554432 bytes"),
            "{shown}"
        );
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
}
