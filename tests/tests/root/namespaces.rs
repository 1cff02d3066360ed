//! Processes in namespaces of their own, as in a container.

use collector_tests::{Identity, burn_cpu_ms, cpu_clock_ns, fork, wait_until};
use procfs::process::all_processes;

use crate::support::{assert_charged_as_by_wait4, end_of, is_off_cpu, load_and_record, processes};

#[test]
fn processes_in_a_container_have_the_pids_of_the_host() {
    in_namespaces(
        libc::CLONE_NEWPID
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWNET,
    );
}

#[test]
fn processes_in_a_pid_namespace_have_the_pids_of_the_host() {
    in_namespaces(libc::CLONE_NEWPID);
}

fn in_namespaces(flags: i32) {
    let (accountant, recorder) = load_and_record();
    // SAFETY: it makes system calls only.
    let first = unsafe { fork(flags, None, have_a_child) }.expect("root may make them");
    let pid = first.pid();
    wait_until("it has a child in there", || child_of(pid).is_some());
    let child = child_of(pid).expect("it was there");
    wait_until("both have used their time", || {
        cpu_clock_ns(pid).is_ok_and(|used| used >= 30_000_000)
            && cpu_clock_ns(child).is_ok_and(|used| used >= 40_000_000)
            && is_off_cpu(pid)
            && is_off_cpu(child)
    });

    let reading = processes(&accountant);
    for (pid, parent) in [(pid, std::process::id()), (child, pid)] {
        let shown = reading.processes.get(pid);
        let shown = shown.unwrap_or_else(|| panic!("process {pid} is not shown"));
        assert_eq!(shown.cpu_ns, cpu_clock_ns(pid).ok());
        assert_eq!(shown.ppid, Some(parent));
    }

    let who = Identity::of(child).expect("it pauses");
    first.signal(libc::SIGKILL);
    let (exit, usage) = end_of(&recorder, first);
    assert_eq!(exit.signal, Some(9));
    let exits = recorder.wait_for_exits(&[who]).of(&who).exits;
    let of_child = exits.first().expect("it ended with its namespace");
    assert_eq!((of_child.signal, of_child.ppid), (Some(9), Some(pid)));
    assert!(of_child.cpu_ns >= Some(40_000_000), "{of_child:?}");
    // The first has not waited for the second: the kernel reaps it when the first has
    // exited, without adding its rusage.
    assert_charged_as_by_wait4(&exit, &usage);
}

/// The first process of a namespace, and of another one there.
fn have_a_child() {
    // SAFETY: it makes system calls only.
    let second = unsafe { fork(0, None, || burn_and_sleep(40)) };
    // It is killed with its namespace.
    std::mem::forget(second);
    burn_and_sleep(30);
}

/// The host's number of a process' child.
fn child_of(pid: u32) -> Option<u32> {
    all_processes()
        .ok()?
        .filter_map(Result::ok)
        .filter_map(|process| process.stat().ok())
        .find(|stat| stat.ppid == pid as i32)
        .map(|stat| stat.pid as u32)
}

fn burn_and_sleep(ms: u64) {
    burn_cpu_ms(ms);
    loop {
        // SAFETY: the call has no precondition.
        unsafe { libc::pause() };
    }
}
