use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::{Bytes, BytesMut};

use super::stats::{Counters, FileStats};

/// What is remembered of one file between ticks: its cost, the open file if it
/// is read often, and the memory of its last content.
///
/// No lock is held while a file is read: who reads takes the open file out and
/// puts it back. So a read that hangs delays nobody but those who want the
/// same file in the same tick.
#[derive(Debug)]
pub(super) struct Slot {
    name: Arc<str>,
    pub(super) counters: Counters,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<KeptFile>,
    refused: bool,
    last_read_ns: Option<u64>,
    memory: BytesMut,
}

/// A file that stays open, counted among all that do.
#[derive(Debug)]
pub(super) struct KeptFile {
    file: OwnedFd,
    open_files: Arc<AtomicUsize>,
}

/// A file is kept open if it is read twice within this time: the slowest pace
/// that is still often is that of tier 2.
const OFTEN_NS: u64 = 30_000_000_000;
/// A file that has not been read for this long is closed.
pub(super) const IDLE_NS: u64 = 60_000_000_000;
/// Content larger than this is not copied into memory that stays.
const REUSE_BYTES: usize = 256 * 1024;

impl Slot {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            counters: Counters::default(),
            state: Mutex::default(),
        }
    }

    /// Takes the open file, if there is one, to read it.
    pub(super) fn take_file(&self) -> Option<KeptFile> {
        self.state().file.take()
    }

    /// Whether a file that was just opened should stay open: it has been read
    /// before, and not long ago.
    pub(super) fn is_read_often(&self, now_ns: u64) -> bool {
        let state = self.state();
        !state.refused
            && state
                .last_read_ns
                .is_some_and(|last| now_ns.saturating_sub(last) <= OFTEN_NS)
    }

    /// Puts an open file back. If another thread has put one meanwhile, one of
    /// the two is closed.
    pub(super) fn put_file(&self, file: KeptFile) {
        self.state().file = Some(file);
    }

    /// This file cannot be kept open: do not try again.
    pub(super) fn refuse_to_keep(&self) {
        self.state().refused = true;
    }

    /// Notes that the file was read, and makes its content shareable.
    ///
    /// The memory of the content before is used again if nobody holds it any
    /// more, so a steady tick allocates nothing here.
    pub(super) fn store(&self, content: &[u8], now_ns: u64) -> Bytes {
        let mut state = self.state();
        let often = state.last_read_ns.replace(now_ns).is_some();
        if !often || content.len() > REUSE_BYTES {
            return Bytes::copy_from_slice(content);
        }
        state.memory.extend_from_slice(content);
        state.memory.split().freeze()
    }

    /// When the file was last read.
    pub(super) fn last_read_ns(&self) -> Option<u64> {
        self.state().last_read_ns
    }

    /// Closes the file, and frees its memory, if it was not read lately.
    pub(super) fn close_if_idle(&self, now_ns: u64) {
        let mut state = self.state();
        let idle = state
            .last_read_ns
            .is_some_and(|last| now_ns.saturating_sub(last) > IDLE_NS);
        if idle {
            state.file = None;
            state.memory = BytesMut::new();
        }
    }

    pub(super) fn stats(&self) -> FileStats {
        FileStats {
            path: Arc::clone(&self.name),
            cost: self.counters.get(),
            kept_open: self.state().file.is_some(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeptFile {
    /// Counts an open file among those that stay open, or gives it back if
    /// there are too many.
    pub(super) fn new(
        file: OwnedFd,
        open_files: &Arc<AtomicUsize>,
        limit: usize,
    ) -> Result<Self, OwnedFd> {
        if open_files.fetch_add(1, Ordering::Relaxed) >= limit {
            open_files.fetch_sub(1, Ordering::Relaxed);
            return Err(file);
        }
        Ok(Self {
            file,
            open_files: Arc::clone(open_files),
        })
    }

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

    fn open() -> OwnedFd {
        std::fs::File::open("/proc/self/stat").unwrap().into()
    }

    #[test]
    fn a_file_that_is_read_no_more_is_closed() {
        let open_files = Arc::new(AtomicUsize::new(0));
        let slot = Slot::new("/proc/stat".into());
        slot.put_file(KeptFile::new(open(), &open_files, 8).unwrap());
        slot.store(b"content", 1);
        slot.close_if_idle(1 + IDLE_NS);
        assert_eq!(open_files.load(Ordering::Relaxed), 1);
        slot.close_if_idle(2 + IDLE_NS);
        assert_eq!(open_files.load(Ordering::Relaxed), 0);
        assert!(slot.take_file().is_none());
    }

    #[test]
    fn no_more_files_stay_open_than_may() {
        let open_files = Arc::new(AtomicUsize::new(0));
        let first = KeptFile::new(open(), &open_files, 1).unwrap();
        let refused = KeptFile::new(open(), &open_files, 1);
        assert!(refused.is_err());
        drop(first);
        assert!(KeptFile::new(open(), &open_files, 1).is_ok());
    }

    #[test]
    fn a_file_is_kept_only_if_it_is_read_often() {
        let slot = Slot::new("/proc/stat".into());
        assert!(!slot.is_read_often(1));
        slot.store(b"", 1);
        assert!(slot.is_read_often(1 + OFTEN_NS));
        assert!(!slot.is_read_often(2 + OFTEN_NS));
        slot.refuse_to_keep();
        assert!(!slot.is_read_often(2));
    }
}
