//! Processes that have ended, and whose parent has not asked for their status.

use std::{thread, time::Duration};

use collector_tests::{ProcTask, burn_cpu_ms, fork, schedstat};

use crate::support::{
    assert_charged_as_wait4_says, end_of, load, load_and_record, processes, stop,
};

#[test]
fn a_zombie_is_told_to_have_ended_with_all_that_it_used() {
    let (scheduler, recorder) = load_and_record();
    // SAFETY: it makes system calls only.
    let child = unsafe { fork(0, None, || burn_cpu_ms(30)) }.expect("it starts");
    let pid = child.pid();
    let recorded = recorder.wait_for_exits(&[pid]);
    assert_eq!(ProcTask::state(pid), Some('Z'), "nobody has waited for it");
    let exit = recorded.exits.iter().find(|exit| exit.pid == pid);
    let cpu_ns = exit.and_then(|exit| exit.cpu_ns).expect("its end is told");
    let [by_proc, ..] = schedstat(pid).expect("a zombie has it");
    assert_eq!(cpu_ns, by_proc);

    let reading = processes(&scheduler);
    assert!(reading.processes.get(pid).is_none());
    assert!(reading.exited.cpu_ns >= Some(cpu_ns));
    // The programs begin while it is there: it has nothing to do with them.
    assert!(processes(&load()).processes.get(pid).is_none());

    let (exit, usage) = end_of(&recorder, child);
    assert_charged_as_wait4_says(&exit, &usage);
    // It is not told again when its parent has asked.
    thread::sleep(Duration::from_millis(200));
    let told = recorder.recorded();
    assert_eq!(told.exits.iter().filter(|exit| exit.pid == pid).count(), 1);
}

#[test]
fn a_process_is_not_told_to_have_ended_before_it_has() {
    let (scheduler, recorder) = load_and_record();
    // SAFETY: it makes system calls only.
    let child = unsafe { fork(0, None, || burn_cpu_ms(u64::MAX / 2)) }.expect("it starts");
    let pid = child.pid();
    stop(&child);
    assert!(processes(&scheduler).processes.get(pid).is_some());
    let told = recorder.recorded();
    assert!(told.exits.iter().all(|exit| exit.pid != pid));
}
