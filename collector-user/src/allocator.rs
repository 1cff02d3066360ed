//! Tuning of the memory allocator, which would keep more memory than an agent
//! should have.
//!
//! Only glibc's allocator is tuned; with any other, these functions do nothing.
//! glibc has no safe interface for this, so these are the two `unsafe` calls
//! outside of `source/bpf` and `collector-ebpf`.

/// Makes all threads allocate from one arena: to be called by a program before
/// it starts threads.
///
/// Each tick runs on any idle thread. With an arena per thread, which is the
/// default, each arena would keep the peak of its thread, and objects that one
/// thread allocates and another one frees would fragment it. The agent does not
/// allocate often enough for threads to contend for the arena.
pub fn use_one_arena() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` has no precondition.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Returns free memory to the kernel that the allocator would keep.
pub(crate) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` has no precondition.
    unsafe {
        libc::malloc_trim(0);
    }
}
