//! A process that never leaves its CPU.

use std::{thread, time::Duration};

use collector_tests::{
    ProcTask, burn_cpu_ms, cpu_clock_ns, cpu_clock_step_ns, emulation_slack_ns, fork, wait_until,
};

use crate::support::{load, process};

/// The number of readings, in total less than the 950 ms of each second that the kernel
/// grants real-time tasks (`kernel.sched_rt_runtime_us`).
const LOOKS: u32 = 8;
const BETWEEN: Duration = Duration::from_millis(80);

#[test]
fn a_process_that_never_leaves_its_cpu_shows_its_time_at_each_tick() {
    let accountant = load();
    let slack = emulation_slack_ns() + 2 * cpu_clock_step_ns();
    // SAFETY: it makes system calls only.
    let child = unsafe { fork(0, None, keep_a_cpu) }.expect("it starts");
    let pid = child.pid();
    wait_until("it burns", || {
        cpu_clock_ns(pid).is_ok_and(|used| used > 20_000_000)
    });
    let mut ticks_without_a_switch = 0;
    let mut switches = None;
    let mut last = 0;
    for _ in 0..LOOKS {
        thread::sleep(BETWEEN);
        let before = cpu_clock_ns(pid).expect("it runs");
        let shown = process(&accountant, pid);
        let after = cpu_clock_ns(pid).expect("it runs");
        let cpu_ns = shown.cpu_ns.expect("it is known");
        let allowed = |clock: u64| (clock / 1_000).max(200_000) + slack;
        println!(
            "{cpu_ns} ns: {} from before, {} from after",
            cpu_ns as i64 - before as i64,
            cpu_ns as i64 - after as i64
        );
        assert!(
            cpu_ns + allowed(before) >= before && cpu_ns <= after + allowed(after),
            "{cpu_ns} is not from {before} to {after}"
        );
        assert!(cpu_ns >= last, "{cpu_ns} after {last}");
        last = cpu_ns;
        let proc = ProcTask::read(pid).expect("it runs");
        let now = proc.voluntary_switches + proc.involuntary_switches;
        ticks_without_a_switch += u32::from(switches.replace(now) == Some(now));
    }
    // Else it was not what it is meant to be.
    assert!(
        ticks_without_a_switch > 0,
        "it left its CPU again and again"
    );
}

/// Takes the last CPU that this process may use, before all that is not of the
/// kernel, and keeps it until it is killed.
fn keep_a_cpu() {
    // SAFETY: all zeros is an empty set; the calls take pointers to values of
    // this function.
    unsafe {
        let mut cpus: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut cpus);
        let last = (0..libc::CPU_SETSIZE as usize)
            .rev()
            .find(|&cpu| libc::CPU_ISSET(cpu, &cpus));
        if let Some(last) = last {
            libc::CPU_ZERO(&mut cpus);
            libc::CPU_SET(last, &mut cpus);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const cpus);
        }
        let parameter = libc::sched_param { sched_priority: 1 };
        libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameter);
    }
    burn_cpu_ms(u64::MAX / 2);
}
