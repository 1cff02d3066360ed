//! Processes that are created and exit as fast as possible.

use std::{io, ptr, thread, time::Instant};

use crate::run::Failure;

/// Creates this number of processes on all CPUs; returns the time in seconds.
pub(super) fn run(processes: usize) -> Result<f64, Failure> {
    let cpus = thread::available_parallelism()?.get();
    let start = Instant::now();
    let makers: Vec<_> = (0..cpus)
        .map(|cpu| thread::spawn(move || make(processes / cpus, cpu)))
        .collect();
    for maker in makers {
        maker.join().expect("it does not panic")?;
    }
    Ok(start.elapsed().as_secs_f64())
}

fn make(processes: usize, cpu: usize) -> io::Result<()> {
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(cpu);
    // Without this CPU it runs where the scheduler puts it.
    let _pinned = rustix::thread::sched_setaffinity(None, &cpus);
    // Of 16 bytes each, which is the alignment of a stack.
    let mut stack = vec![0u128; 1 << 10];
    for _ in 0..processes {
        // SAFETY: the child has a stack of its own, of which this is the end,
        // and this thread waits until it has ended (`CLONE_VFORK`); it touches
        // no other memory.
        let pid = unsafe {
            libc::clone(
                end,
                stack.as_mut_ptr_range().end.cast(),
                libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
                ptr::null_mut(),
            )
        };
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the pointer for the status may be null.
        unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
    }
    Ok(())
}

extern "C" fn end(_: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the call does not return, and runs nothing of this process.
    unsafe { libc::_exit(0) }
}
