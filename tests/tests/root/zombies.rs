//! Zombies: processes that have exited and are not yet reaped.

use std::{thread, time::Duration};

use collector::{
    collectors::{Collector as _, procfs::ProcfsProcessStats},
    metric::{ExitEvent, Process, ProcessState, ProcessStats},
    source::Sources,
};
use collector_tests::{ProcTask, burn_cpu_ms, fork, raw_thread, schedstat, wait_until};

use crate::support::{assert_charged_as_by_wait4, end_of, load, load_and_record, processes, stop};

/// What is shown of a zombie, by a backend.
fn assert_is_shown_as_zombie(reading: &ProcessStats, pid: u32, cpu_ns: Option<u64>) {
    let row = reading.processes.get(pid).expect("it is in the table");
    assert_eq!(row.state, Some(ProcessState::Zombie));
    assert_eq!(row.ppid, Some(std::process::id()));
    assert_eq!(row.threads, Some(1));
    assert_eq!((row.rss_bytes, row.vm_bytes), (Some(0), Some(0)));
    assert_eq!(row.cpu_ns, cpu_ns);
}

#[test]
fn a_zombie_has_its_exit_event_and_its_totals_and_is_shown_until_it_is_reaped() {
    let (accountant, recorder) = load_and_record();
    // SAFETY: it makes system calls only.
    let child = unsafe { fork(0, None, || burn_cpu_ms(30)) }.expect("it starts");
    let pid = child.pid();
    let recorded = recorder.wait_for_exits(&[pid]);
    assert_eq!(ProcTask::state(pid), Some('Z'), "nobody has waited for it");
    let exit = recorded.exits.iter().find(|exit| exit.pid == pid);
    let cpu_ns = exit.and_then(|exit| exit.cpu_ns).expect("its end is told");
    let [by_proc, ..] = schedstat(pid).expect("a zombie has it");
    assert_eq!(cpu_ns, by_proc);

    let reading = processes(&accountant);
    assert_is_shown_as_zombie(&reading, pid, Some(cpu_ns));
    // The programs are loaded while it exists.
    let later = load();
    assert_is_shown_as_zombie(&processes(&later), pid, Some(cpu_ns));
    let procfs = ProcfsProcessStats::new()
        .collect(&Sources::live().tick())
        .expect("a reading is had");
    assert_is_shown_as_zombie(&procfs, pid, Some(cpu_ns));

    let (exit, usage) = end_of(&recorder, child);
    assert_charged_as_by_wait4(&exit, &usage);
    // It is reaped: from then on it is in `exited`.
    for accountant in [&accountant, &later] {
        let after = processes(accountant);
        assert!(after.processes.get(pid).is_none());
        assert!(after.exited.cpu_ns >= Some(cpu_ns));
    }
    // There is no second exit event when it is reaped.
    thread::sleep(Duration::from_millis(200));
    let told = recorder.recorded();
    assert_eq!(told.exits.iter().filter(|exit| exit.pid == pid).count(), 1);
}

#[test]
fn a_process_whose_parent_ignores_sigchld_is_not_a_zombie() {
    let (accountant, recorder) = load_and_record();
    // SAFETY: they make system calls only.
    let parent = unsafe {
        fork(0, None, || {
            libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            for _ in 0..20 {
                if libc::fork() == 0 {
                    libc::_exit(7);
                }
            }
            libc::sleep(3_600);
        })
    }
    .expect("it starts");
    let of_parent = |exit: &&ExitEvent| exit.ppid == Some(parent.pid());
    wait_until("they have ended", || {
        recorder.recorded().exits.iter().filter(of_parent).count() == 20
    });
    let reading = processes(&accountant);
    let left = |process: &Process| process.ppid == Some(parent.pid());
    assert_eq!(reading.processes.iter().filter(|of| left(of)).count(), 0);
}

#[test]
fn a_process_whose_leader_has_exited_is_not_a_zombie() {
    extern "C" fn sleep_on(_: *mut std::ffi::c_void) -> i32 {
        // SAFETY: it makes a system call only.
        unsafe { libc::sleep(3_600) };
        0
    }
    let before = load();
    // SAFETY: they make system calls only; the thread ends, not the process.
    let child = unsafe {
        fork(0, None, || {
            let _made = raw_thread(sleep_on);
            libc::syscall(libc::SYS_exit, 0);
        })
    }
    .expect("it starts");
    wait_until("its leading thread has ended", || {
        ProcTask::state(child.pid()) == Some('Z')
    });
    thread::sleep(Duration::from_millis(100));
    for accountant in [before, load()] {
        let slept = || {
            let reading = processes(&accountant);
            let row = reading.processes.get(child.pid()).expect("it goes on");
            assert_eq!(row.state, Some(ProcessState::Zombie), "as in /proc");
            assert_eq!(row.threads, Some(2));
            row.interruptible_sleep_ns.expect("it is known")
        };
        let first = slept();
        thread::sleep(Duration::from_millis(50));
        assert!(slept() >= first + 50_000_000, "its other thread sleeps");
    }
}

#[test]
fn no_exit_event_comes_before_the_exit() {
    let (accountant, recorder) = load_and_record();
    // SAFETY: it makes system calls only.
    let child = unsafe { fork(0, None, || burn_cpu_ms(u64::MAX / 2)) }.expect("it starts");
    let pid = child.pid();
    stop(&child);
    assert!(processes(&accountant).processes.get(pid).is_some());
    let told = recorder.recorded();
    assert!(told.exits.iter().all(|exit| exit.pid != pid));
}
