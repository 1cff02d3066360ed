use std::{fs, io};

/// The CPU time of a process by its CPU clock, `clock_getcpuclockid(3)`: in nanoseconds,
/// including time in flight.
///
/// # Errors
///
/// When the process does not exist.
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

/// The largest step of the scheduler's clock.
///
/// Some microseconds, the length of an interrupt, on a machine with a stable cycle counter.
/// Without one, as in some virtual machines, it may advance only at timer ticks:
/// milliseconds.
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

/// For how long the host may stall an emulated CPU; 0 without emulation.
///
/// Tests that compare reads of different clocks add it to their tolerance. `cargo xtask
/// test-vm` sets `COLLECTOR_TEST_VM` to the accelerator of the guest.
pub fn emulation_slack_ns() -> u64 {
    match std::env::var("COLLECTOR_TEST_VM").as_deref() {
        Ok("tcg") => 200_000_000,
        _ => 0,
    }
}

/// `/proc/PID/schedstat`, summed over the threads of a process: on-CPU time and run-queue
/// wait in nanoseconds, and the number of timeslices.
///
/// # Errors
///
/// When the process does not exist, or the kernel does not have schedstat.
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
