use std::sync::{Mutex, PoisonError};

/// Reusable buffers for reads.
///
/// The size of a file of `/proc` is unknown before the read. So it is read into a large
/// buffer, and the content is copied to its own buffer. There is one buffer for each
/// thread that reads concurrently.
#[derive(Debug, Default)]
pub(super) struct ScratchPool {
    buffers: Mutex<Vec<Vec<u8>>>,
}

/// Larger than almost every file of `/proc` and `/sys`.
const INITIAL_BYTES: usize = 16 * 1024;
/// A larger buffer is not kept.
const KEEP_BYTES: usize = 1024 * 1024;
const KEEP_BUFFERS: usize = 8;

impl ScratchPool {
    /// An empty buffer with capacity.
    pub(super) fn take(&self) -> Vec<u8> {
        let kept = self
            .buffers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        kept.unwrap_or_else(|| Vec::with_capacity(INITIAL_BYTES))
    }

    /// Returns a buffer to the pool.
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
