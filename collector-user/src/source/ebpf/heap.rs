//! The allocator, which would keep more memory than an agent should have.
//!
//! Only glibc's is told; of others nothing is known.

/// Lets threads that are yet to begin share the first thread's memory: to be
/// called by a program before it has others.
///
/// A tick runs on whichever thread is free. Would each have memory of its own,
/// as it is by default, then each would keep what it once needed, and what one
/// makes and another replaces would leave holes. Nothing here allocates so often
/// that threads wait for each other.
pub fn share_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call has no precondition.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives memory back that is free in pieces, which the allocator would keep.
pub(super) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call has no precondition.
    unsafe {
        libc::malloc_trim(0);
    }
}
