use std::{fs, io};

/// The time on a CPU of a process by its own clock: `clock_getcpuclockid(3)`,
/// exact to the nanosecond, in-flight time included.
///
/// # Errors
///
/// When there is no such process.
pub fn cpu_clock_ns(pid: u32) -> io::Result<u64> {
    let mut clock = 0;
    // SAFETY: the pointer is to a value of this function.
    let error = unsafe { libc::clock_getcpuclockid(pid as i32, &raw mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: as above.
    if unsafe { libc::clock_gettime(clock, &raw mut now) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

/// The largest step in which the scheduler's clock moves.
///
/// Some microseconds on a machine with a steady cycle counter: those of an
/// interrupt. In a virtual machine without one it may stand still until the
/// next timer tick: milliseconds.
pub fn cpu_clock_step_ns() -> u64 {
    let used = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    };
    let end = used() + 50_000_000;
    let (mut before, mut largest) = (used(), 0);
    while before < end {
        let after = used();
        largest = largest.max(after - before);
        before = after;
    }
    largest
}

/// For how long an emulated CPU may be held up by its host in the middle of
/// anything, as seen by its guest; nothing where the CPU is real.
///
/// Tests that compare two looks at different clocks add this to what they
/// allow. `cargo xtask test-vm` says in `COLLECTOR_TEST_VM` how a guest runs.
pub fn emulation_slack_ns() -> u64 {
    match std::env::var("COLLECTOR_TEST_VM").as_deref() {
        Ok("tcg") => 200_000_000,
        _ => 0,
    }
}

/// `/proc/PID/schedstat`, summed over the threads of a process: nanoseconds
/// on a CPU, nanoseconds of waiting for one, and times that it got one.
///
/// # Errors
///
/// When there is no such process, or the kernel does not keep these numbers.
pub fn schedstat(pid: u32) -> io::Result<[u64; 3]> {
    let mut sums = [0; 3];
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        for (sum, word) in sums.iter_mut().zip(text.split_whitespace()) {
            *sum += word.parse::<u64>().map_err(io::Error::other)?;
        }
    }
    Ok(sums)
}
