use std::sync::{Mutex, PoisonError};

/// Buffers that reads go through, kept for the next read.
///
/// A file's size is not known before it has been read, so it is read into a
/// buffer that is large enough for most, and what came is then copied to where
/// it stays. There are as many buffers as threads that read at the same time.
#[derive(Debug, Default)]
pub(super) struct ScratchPool {
    buffers: Mutex<Vec<Vec<u8>>>,
}

/// Larger than almost every file of `/proc` and `/sys`.
const INITIAL_BYTES: usize = 16 * 1024;
/// A buffer that has grown beyond this is not kept.
const KEEP_BYTES: usize = 1024 * 1024;
const KEEP_BUFFERS: usize = 8;

impl ScratchPool {
    /// An empty buffer with room.
    pub(super) fn take(&self) -> Vec<u8> {
        let kept = self
            .buffers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        kept.unwrap_or_else(|| Vec::with_capacity(INITIAL_BYTES))
    }

    /// Gives a buffer back.
    pub(super) fn put(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() > KEEP_BYTES {
            return;
        }
        buffer.clear();
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < KEEP_BUFFERS {
            buffers.push(buffer);
        }
    }
}
