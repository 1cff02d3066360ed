use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use super::{
    kept_file::KeptFile,
    stats::{Counters, FileStats},
};

/// The state of one file between ticks: its cost, the open file if it is read often, and
/// the buffer of its last content.
///
/// No lock is held during a read: the reader takes the open file out and puts it back. So
/// a read that hangs delays only readers of the same file in the same tick.
#[derive(Debug)]
pub(super) struct Slot {
    name: Arc<str>,
    pub(super) counters: Counters,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    file: Option<KeptFile>,
    /// Whether the file must not stay open.
    refused: bool,
    last_read_ns: Option<u64>,
    buffer: BytesMut,
}

/// A file is kept open if it is read twice within this time, which is more than the
/// default interval of tier 2.
const OFTEN_NS: u64 = 30_000_000_000;
/// A file that has not been read for this time is closed.
pub(super) const IDLE_NS: u64 = 60_000_000_000;
/// Larger content is not copied into the reused buffer.
const REUSE_BYTES: usize = 256 * 1024;

impl Slot {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            counters: Counters::default(),
            cache: Mutex::default(),
        }
    }

    /// Takes the open file, if there is one.
    pub(super) fn take_file(&self) -> Option<KeptFile> {
        self.cache().file.take()
    }

    /// Whether a file that has just been opened should stay open: it was read before,
    /// within [`OFTEN_NS`].
    pub(super) fn is_read_often(&self, now_ns: u64) -> bool {
        let cache = self.cache();
        !cache.refused
            && cache
                .last_read_ns
                .is_some_and(|last| now_ns.saturating_sub(last) <= OFTEN_NS)
    }

    /// Puts an open file back. It replaces, and closes, a file of another thread.
    pub(super) fn put_file(&self, file: KeptFile) {
        self.cache().file = Some(file);
    }

    /// Notes that the file must not stay open.
    pub(super) fn refuse_to_keep(&self) {
        self.cache().refused = true;
    }

    /// Notes the time of the read, and copies the content into a shareable buffer.
    ///
    /// The buffer of the previous content is reused if it is no longer referenced, so
    /// that no tick allocates in the steady state.
    pub(super) fn store(&self, content: &[u8], now_ns: u64) -> Bytes {
        let mut cache = self.cache();
        let often = cache.last_read_ns.replace(now_ns).is_some();
        if !often || content.len() > REUSE_BYTES {
            return Bytes::copy_from_slice(content);
        }
        cache.buffer.extend_from_slice(content);
        cache.buffer.split().freeze()
    }

    /// The time of the last read.
    pub(super) fn last_read_ns(&self) -> Option<u64> {
        self.cache().last_read_ns
    }

    /// Closes the file and frees its buffer if it has not been read for [`IDLE_NS`].
    pub(super) fn close_if_idle(&self, now_ns: u64) {
        let mut cache = self.cache();
        let idle = cache
            .last_read_ns
            .is_some_and(|last| now_ns.saturating_sub(last) > IDLE_NS);
        if idle {
            cache.file = None;
            cache.buffer = BytesMut::new();
        }
    }

    pub(super) fn stats(&self) -> FileStats {
        FileStats {
            path: Arc::clone(&self.name),
            cost: self.counters.get(),
            kept_open: self.cache().file.is_some(),
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::kept_file::OpenFiles;

    #[test]
    fn an_idle_file_is_closed() {
        let open_files = OpenFiles::at_most(8);
        let slot = Slot::new("/proc/stat".into());
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        slot.put_file(open_files.keep(file.into()).unwrap());
        slot.store(b"content", 1);
        slot.close_if_idle(1 + IDLE_NS);
        assert_eq!(open_files.count(), 1);
        slot.close_if_idle(2 + IDLE_NS);
        assert_eq!(open_files.count(), 0);
        assert!(slot.take_file().is_none());
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
