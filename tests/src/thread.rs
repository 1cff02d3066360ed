use std::{ffi::c_void, io, ptr};

/// Creates a thread in a child of [`fork`](crate::fork()), where threads of the standard
/// library cannot be used.
///
/// # Errors
///
/// When the system call fails.
///
/// # Safety
///
/// As for the function that the child runs.
pub unsafe fn raw_thread(run: extern "C" fn(*mut c_void) -> i32) -> io::Result<()> {
    let flags = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM;
    // SAFETY: the caller's promise.
    unsafe { raw_clone(flags, run) }
}

/// Creates a child that shares this process' memory until it exits, as vfork(2) does, and
/// returns then.
///
/// # Errors
///
/// When the system call fails.
///
/// # Safety
///
/// As for the function that the child runs.
pub unsafe fn raw_vfork(run: extern "C" fn(*mut c_void) -> i32) -> io::Result<()> {
    // SAFETY: the caller's promise.
    unsafe { raw_clone(libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, run) }
}

unsafe fn raw_clone(flags: i32, run: extern "C" fn(*mut c_void) -> i32) -> io::Result<()> {
    const STACK: usize = 64 << 10;
    // SAFETY: new memory, that is never given back: the process ends soon.
    let stack = unsafe {
        libc::mmap(
            ptr::null_mut(),
            STACK,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if stack == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the stack grows down from its end.
    let made = unsafe { libc::clone(run, stack.byte_add(STACK), flags, ptr::null_mut()) };
    if made == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
