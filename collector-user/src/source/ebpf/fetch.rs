//! Memory that is soon needed.

use std::{mem::MaybeUninit, ptr};

/// The least that a CPU brings from memory, on most.
const LINE: usize = 64;

/// Brings a value into the cache, and does nothing with it.
///
/// What is kept of a process that runs now and then has mostly left the caches
/// when it is needed again. Who needs it of many, one after the other, waits
/// for each; who asks for all of them first waits for many at once, since no
/// look here depends on another.
pub(super) fn fetch<T>(value: &T) {
    let bytes: *const MaybeUninit<u8> = ptr::from_ref(value).cast();
    for offset in (0..size_of::<T>()).step_by(LINE) {
        // SAFETY: the byte is within the value, which is borrowed; be it
        // padding or not, it is a value of its type.
        let _byte = unsafe { ptr::read_volatile(bytes.add(offset)) };
    }
}
