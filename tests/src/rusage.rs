use std::io;

/// CPU time of all reaped children, in nanoseconds: `RUSAGE_CHILDREN`.
///
/// # Errors
///
/// When getrusage(2) fails.
pub fn children_cpu_ns() -> io::Result<u64> {
    // SAFETY: all zeros is a value of this structure of integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a value of this function.
    if unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let time =
        |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000;
    Ok(time(usage.ru_utime) + time(usage.ru_stime))
}
