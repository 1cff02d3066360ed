//! Processes of many threads.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use collector::metric::ProcessState;
use collector_tests::{
    ProcTask, burn_cpu_ms, cpu_clock_ns, emulation_slack_ns, fork, raw_thread, wait_until,
};

use crate::support::{
    assert_charged_with_ended_threads, end_of, is_off_cpu, load, load_and_record, process, start,
};

#[test]
fn running_and_exited_threads_are_one_sum() {
    let (accountant, recorder) = load_and_record();
    let child = start("threads_that_end_and_threads_that_stay");
    let pid = child.pid();
    wait_until("six threads have used 30 ms each, and sleep", || {
        cpu_clock_ns(pid).is_ok_and(|used| used > 6 * 30_000_000) && is_off_cpu(pid)
    });
    let shown = process(&accountant, pid);
    let proc = ProcTask::read(pid).expect("it is there");
    // Each exited thread used some time after the kernel had added it up:
    // see `assert_charged_with_ended_threads`.
    let by_clock = cpu_clock_ns(pid).expect("it is there");
    let cpu_ns = shown.cpu_ns.expect("it is known");
    assert!(
        (by_clock..=by_clock + 200_000 + emulation_slack_ns()).contains(&cpu_ns),
        "{cpu_ns} ns, {by_clock} by its clock"
    );
    assert_eq!(shown.threads, Some(proc.threads as u32));
    child.signal(libc::SIGKILL);
    let (exit, usage) = end_of(&recorder, child);
    assert_charged_with_ended_threads(&exit, &usage, 3 + proc.threads - 1);
    assert_eq!((exit.exit_code, exit.signal), (None, Some(9)));
}

#[test]
fn a_process_whose_leader_has_exited_continues() {
    let (accountant, recorder) = load_and_record();
    // SAFETY: it makes system calls only.
    let child = unsafe { fork(0, None, end_before_another_thread) }.expect("it starts");
    let pid = child.pid();
    assert_is_shown_without_its_leader(&accountant, pid);
    child.signal(libc::SIGKILL);
    let (exit, usage) = end_of(&recorder, child);
    assert_charged_with_ended_threads(&exit, &usage, 1);
}

#[test]
fn a_leader_that_exited_before_the_start_is_charged_to_its_process() {
    // SAFETY: it makes system calls only.
    let child = unsafe { fork(0, None, end_before_another_thread) }.expect("it starts");
    wait_until("its leading thread has ended", || {
        ProcTask::state(child.pid()) == Some('Z')
    });
    let accountant = load();
    assert_is_shown_without_its_leader(&accountant, child.pid());
}

#[test]
fn threads_that_exit_during_the_load_count_once() {
    let ends = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                // A thread that ends is added up by the kernel.
                let _joined = thread::spawn(|| burn_cpu_ms(2)).join();
            }
        });
        let accountant = load();
        ends.store(true, Ordering::Relaxed);
        let this = std::process::id();
        let before = cpu_clock_ns(this).expect("it runs");
        let told = process(&accountant, this).cpu_ns.expect("it is known");
        let after = cpu_clock_ns(this).expect("it runs");
        // What threads used after the kernel had added them up: see
        // `assert_charged_with_ended_threads`.
        let margin = 500_000 + emulation_slack_ns();
        assert!(
            (before - margin..=after + margin).contains(&told),
            "{told} ns, from {before} to {after} by its clock"
        );
    });
}

fn assert_is_shown_without_its_leader(
    accountant: &collector::collectors::ebpf::Accountant,
    pid: u32,
) {
    wait_until("both threads have used 30 ms, and one is left", || {
        cpu_clock_ns(pid).is_ok_and(|used| used > 2 * 30_000_000)
            && ProcTask::state(pid) == Some('Z')
            && is_off_cpu(pid)
    });
    // Where the name is missing, a second look has it.
    process(accountant, pid);
    let shown = process(accountant, pid);
    let proc = ProcTask::read(pid).expect("it is there");
    assert_eq!(shown.cpu_ns, cpu_clock_ns(pid).ok());
    assert_eq!(shown.voluntary_switches, Some(proc.voluntary_switches));
    assert_eq!(shown.involuntary_switches, Some(proc.involuntary_switches));
    assert_eq!(shown.state, Some(ProcessState::Zombie));
    assert_eq!(shown.threads, Some(proc.threads as u32));
    assert_eq!(shown.ppid, Some(std::process::id()));
    assert!(!shown.comm.is_empty());
}

/// Burns 30 ms in this thread, which ends, and in another, which stays.
fn end_before_another_thread() {
    // SAFETY: it makes system calls only.
    if unsafe { raw_thread(burn_and_stay) }.is_ok() {
        burn_cpu_ms(30);
        // SAFETY: it ends this thread, and takes no pointer.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}

extern "C" fn burn_and_stay(_: *mut std::ffi::c_void) -> i32 {
    burn_cpu_ms(30);
    loop {
        // SAFETY: the call has no precondition.
        unsafe { libc::pause() };
    }
}
