use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A file that stays open, counted in [`OpenFiles`] until it is dropped.
#[derive(Debug)]
pub(super) struct KeptFile {
    file: OwnedFd,
    open_files: Arc<AtomicUsize>,
}

/// The number of files that stay open, and its limit.
#[derive(Debug)]
pub(super) struct OpenFiles {
    count: Arc<AtomicUsize>,
    max: usize,
}

impl OpenFiles {
    /// A limit of `max` files, or less if `RLIMIT_NOFILE` is low: three quarters of it
    /// are left to the rest of the process.
    pub(super) fn at_most(max: usize) -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let quarter = limit.and_then(|limit| usize::try_from(limit / 4).ok());
        Self {
            count: Arc::default(),
            max: quarter.map_or(max, |quarter| quarter.min(max)),
        }
    }

    /// The number of open files.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts a file that stays open, or closes it if the limit is reached.
    pub(super) fn keep(&self, file: OwnedFd) -> Option<KeptFile> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(KeptFile {
            file,
            open_files: Arc::clone(&self.count),
        })
    }
}

impl KeptFile {
    pub(super) fn file(&self) -> &OwnedFd {
        &self.file
    }
}

impl Drop for KeptFile {
    fn drop(&mut self) {
        self.open_files.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_files_stay_open_than_the_limit() {
        let open = || OwnedFd::from(std::fs::File::open("/proc/self/stat").unwrap());
        let open_files = OpenFiles::at_most(1);
        let first = open_files.keep(open()).unwrap();
        assert!(open_files.keep(open()).is_none());
        assert_eq!(open_files.count(), 1);
        drop(first);
        assert!(open_files.keep(open()).is_some());
    }
}
