//! Threads that sleep, and show it while they do.

use std::{thread, time::Duration};

use collector::{collectors::ebpf::Accountant, metric::Process, source::bpf::LoadOptions};
use collector_tests::{
    Child, ProcTask, Recording, burn_cpu_ms, emulation_slack_ns, fork, raw_vfork, schedstat,
    wait_until,
};
use rustix::time::{ClockId, clock_gettime};

use crate::support::{end_of, load, load_with, process, processes};

fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A child that uses its CPU for a moment and then sleeps until it is killed.
fn sleeping_child() -> Child {
    // SAFETY: it makes system calls only.
    let child = unsafe {
        fork(0, None, || {
            burn_cpu_ms(5);
            libc::sleep(3_600);
        })
    }
    .expect("it starts");
    wait_until("it sleeps", || ProcTask::state(child.pid()) == Some('S'));
    child
}

/// A child in uninterruptible sleep: it waits for one that it made by `vfork`,
/// which has its memory, and ends with it.
fn child_in_d_state() -> Child {
    extern "C" fn sleep_with_the_parent(_: *mut std::ffi::c_void) -> i32 {
        // SAFETY: they make system calls only, and it ends this process.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::sleep(3_600);
            libc::_exit(0)
        }
    }
    // SAFETY: it makes system calls only.
    let child = unsafe {
        fork(0, None, || {
            let _the_parent_is_killed = raw_vfork(sleep_with_the_parent);
        })
    }
    .expect("it starts");
    wait_until("it is in D state", || {
        ProcTask::state(child.pid()) == Some('D')
    });
    child
}

fn kinds(process: &Process) -> [u64; 2] {
    let kinds = [
        process.interruptible_sleep_ns,
        process.uninterruptible_sleep_ns,
    ];
    let kinds = kinds.map(|kind| kind.expect("it is known"));
    assert_eq!(process.blocked_ns, Some(kinds[0] + kinds[1]));
    kinds
}

/// What is shown of a child that sleeps, and the times between which that was.
fn look(accountant: &Accountant, child: &Child) -> ([u64; 2], u64, u64) {
    let before_ns = now_ns();
    let shown = kinds(&process(accountant, child.pid()));
    (shown, before_ns, now_ns())
}

/// Asserts that one kind of sleep grows as time passes, and the other does not.
fn assert_sleeps(accountant: &Accountant, child: &Child, kind: usize) {
    let (first, first_before, first_after) = look(accountant, child);
    for _ in 0..4 {
        thread::sleep(Duration::from_millis(200));
        let (shown, before, after) = look(accountant, child);
        let grown = shown[kind] - first[kind];
        assert!(
            (before - first_after..=after - first_before).contains(&grown),
            "{grown} ns of sleep from {} to {} ns",
            before - first_after,
            after - first_before
        );
        assert_eq!(shown[1 - kind], first[1 - kind]);
    }
}

/// Asserts that the sleep is the time since the start of the child, minus on-CPU time and
/// run-queue wait.
fn assert_is_what_is_left(accountant: &Accountant, child: &Child) {
    let shown = process(accountant, child.pid());
    let now = clock_gettime(ClockId::Boottime);
    let now_ns = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
    let [cpu_ns, wait_ns, _slices] = schedstat(child.pid()).expect("it is there");
    let left = now_ns - shown.start_time_ns - cpu_ns - wait_ns;
    let slept = shown.blocked_ns.expect("it is known");
    // From the fork to the first wait, and to the reading.
    let margin = 20_000_000 + emulation_slack_ns();
    assert!(
        left.abs_diff(slept) < margin,
        "slept {slept} ns, {left} ns by the clock and schedstat"
    );
}

fn a_sleeper_and_one_in_d_state(accountant: &Accountant) {
    let sleeper = sleeping_child();
    assert_sleeps(accountant, &sleeper, 0);
    assert_is_what_is_left(accountant, &sleeper);
    assert_eq!(ProcTask::state(sleeper.pid()), Some('S'));

    let hangs = child_in_d_state();
    assert_sleeps(accountant, &hangs, 1);
    assert_is_what_is_left(accountant, &hangs);
    let shown = process(accountant, hangs.pid());
    assert_eq!(
        shown.state.map(collector::metric::ProcessState::letter),
        Some('D')
    );

    // What was shown while they slept is in what they used in the end.
    let recording = Recording::of(accountant);
    for (child, kind) in [(sleeper, 0), (hangs, 1)] {
        let shown = kinds(&process(accountant, child.pid()));
        child.signal(libc::SIGKILL);
        let (exit, _usage) = end_of(&recording, child);
        let slept = [exit.interruptible_sleep_ns, exit.uninterruptible_sleep_ns];
        let slept = slept.map(|kind| kind.expect("it is known"));
        assert!(
            slept[kind] >= shown[kind],
            "{slept:?} in the end, {shown:?} before"
        );
        assert_eq!(exit.blocked_ns, Some(slept[0] + slept[1]));
    }
}

#[test]
fn a_sleeping_thread_shows_its_sleep_by_kind_at_every_reading() {
    a_sleeper_and_one_in_d_state(&load());
}

#[test]
fn a_sleeping_thread_shows_its_sleep_with_the_wakeup_programs() {
    a_sleeper_and_one_in_d_state(&load_with(&LoadOptions {
        pretend_missing: vec!["task_struct.sched_info.run_delay".to_owned()],
        ..LoadOptions::default()
    }));
}

#[test]
fn sleep_before_the_start_counts_from_the_start() {
    let (sleeper, hangs) = (sleeping_child(), child_in_d_state());
    thread::sleep(Duration::from_millis(300));
    let before = now_ns();
    let accountant = load();
    let loaded = now_ns();
    for (child, kind) in [(&sleeper, 0), (&hangs, 1)] {
        let (shown, before_look, after_look) = look(&accountant, child);
        let slept = shown[kind];
        assert!(
            (before_look - loaded..=after_look - before).contains(&slept),
            "{slept} ns since the start, from {} to {}",
            before_look - loaded,
            after_look - before
        );
        assert_sleeps(&accountant, child, kind);
    }
    // It is woken, and the sleep that was shown ends.
    let shown = kinds(&process(&accountant, sleeper.pid()))[0];
    sleeper.signal(libc::SIGSTOP);
    wait_until("it is stopped", || {
        ProcTask::is_stopped(sleeper.pid()).unwrap_or(false)
    });
    assert!(kinds(&process(&accountant, sleeper.pid()))[0] >= shown);
    assert_sleeps(&accountant, &sleeper, 0);
}

#[test]
fn no_sleep_of_a_process_ever_goes_back() {
    let accountant = load();
    // Many that are woken all the time, so that some wait at each look.
    let children: Vec<Child> = (0..8)
        .map(|_| {
            // SAFETY: it makes system calls only.
            let child = unsafe {
                fork(0, None, || {
                    loop {
                        burn_cpu_ms(1);
                        libc::usleep(1_000);
                    }
                })
            };
            child.expect("it starts")
        })
        .collect();
    let mut before = vec![[0; 2]; children.len()];
    for _ in 0..40 {
        thread::sleep(Duration::from_millis(25));
        let reading = processes(&accountant);
        for (child, before) in children.iter().zip(&mut before) {
            let Some(process) = reading.processes.get(child.pid()) else {
                continue;
            };
            let now = kinds(&process);
            assert!(
                now[0] >= before[0] && now[1] >= before[1],
                "{before:?}, then {now:?}"
            );
            *before = now;
        }
    }
    assert!(before.iter().all(|slept| slept[0] > 0));
}
