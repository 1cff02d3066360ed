use std::io;

use crate::Child;

/// Creates a child by clone3(2) that runs a function and exits, without execve(2), so that
/// no other program is needed, also in namespaces without programs.
///
/// `flags` are those of clone3(2), for new namespaces. `number` is the PID on the host,
/// which must be free.
///
/// # Errors
///
/// When the system call fails.
///
/// # Safety
///
/// The child has no other threads of this process, but their locks stay locked: the
/// function must not allocate, print or panic.
pub unsafe fn fork(flags: i32, number: Option<u32>, run: impl FnOnce()) -> io::Result<Child> {
    let numbers = [number.unwrap_or_default() as libc::pid_t];
    // SAFETY: all zeros is a value of this structure of integers.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = flags as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    if number.is_some() {
        arguments.set_tid = numbers.as_ptr() as u64;
        arguments.set_tid_size = 1;
    }
    // SAFETY: the structure and the array live until the call has returned.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const arguments,
            size_of::<libc::clone_args>(),
        )
    };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            run();
            // SAFETY: it ends without anything of this process being run.
            unsafe { libc::_exit(0) }
        }
        pid => Ok(Child::of(pid as u32)),
    }
}
