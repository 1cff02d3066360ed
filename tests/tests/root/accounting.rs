//! The totals of one process, compared with those of the kernel.

use std::{thread, time::Duration};

use collector::metric::ProcessState;
use collector_tests::{Child, ProcTask, cpu_clock_ns, cpu_clock_step_ns, emulation_slack_ns};

use crate::support::{
    TICK_NS, assert_charged_with_ended_threads, assert_close, end_of, load, load_and_record,
    process, start, stop,
};

/// Runs a helper until it exits, and compares its exit event with the rusage that its
/// parent gets.
fn assert_charged_as_by_wait4(test: &str, ended_threads: u64) {
    let (_accountant, recorder) = load_and_record();
    let (exit, usage) = end_of(&recorder, start(test));
    assert!(usage.status.success(), "{:?}", usage.status);
    assert_eq!((exit.exit_code, exit.signal), (Some(0), None));
    assert_charged_with_ended_threads(&exit, &usage, ended_threads);
}

#[test]
fn a_busy_child_is_charged_as_by_wait4() {
    // The test harness runs a test in a thread of its own.
    assert_charged_as_by_wait4("burn", 1);
}

#[test]
fn the_time_of_exited_threads_counts() {
    assert_charged_as_by_wait4("burn_in_threads", 5);
}

#[test]
fn an_exec_from_another_thread_keeps_the_process_and_its_time() {
    // execve(2) ended the other threads and replaced the thread-group leader.
    assert_charged_as_by_wait4("exec_from_a_thread", 3);
}

#[test]
fn a_running_process_shows_its_time() {
    let accountant = load();
    let child = start("burn_for_ever");
    let step = cpu_clock_step_ns();
    let mut last = 0;
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(200));
        let before = cpu_clock_ns(child.pid()).expect("it runs");
        let shown = process(&accountant, child.pid())
            .cpu_ns
            .expect("it is known");
        let after = cpu_clock_ns(child.pid()).expect("it runs");
        // Between the two reads of the clock, with a margin for steal time, which the
        // kernel subtracts only when it next updates its own clock.
        let margin = 1_000_000 + after / 100 + 2 * step + emulation_slack_ns();
        assert!(
            shown + margin >= before && shown <= after + margin,
            "{shown} is not from {before} to {after}"
        );
        assert!(shown >= last, "{shown} after {last}");
        last = shown;
    }
    child.signal(libc::SIGKILL);
    child.wait().expect("it is a child");
}

#[test]
fn time_wait_and_switches_are_those_of_proc() {
    let accountant = load();
    // More burning children than CPUs, so that they wait for each other.
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let children: Vec<Child> = (0..=cpus).map(|_| start("burn_for_ever")).collect();
    thread::sleep(Duration::from_secs(2));
    for child in &children {
        stop(child);
        let pid = child.pid();
        let shown = process(&accountant, pid);
        let proc = ProcTask::read(pid).expect("it is there");
        assert_eq!(shown.cpu_ns, Some(proc.cpu_ns));
        assert_close(
            "runqueue_ns",
            shown.runqueue_ns.unwrap_or(0),
            proc.runqueue_ns,
            0.02,
            200_000,
        );
        assert_eq!(shown.voluntary_switches, Some(proc.voluntary_switches));
        assert_eq!(shown.involuntary_switches, Some(proc.involuntary_switches));
        // Both are in clock ticks, and the kernel does not let a value that it has shown
        // decrease: it may be from before the last timer tick.
        assert_close(
            "user_ns",
            shown.user_ns.unwrap_or(0),
            proc.user_ns,
            0.0,
            2 * TICK_NS,
        );
        assert_close(
            "system_ns",
            shown.system_ns.unwrap_or(0),
            proc.system_ns,
            0.0,
            2 * TICK_NS,
        );
        assert_eq!(shown.state, Some(ProcessState::Stopped));
    }
}

#[test]
fn the_task_iterator_returns_what_proc_shows() {
    let accountant = load();
    let this = process(&accountant, std::process::id());
    let status = std::fs::read_to_string("/proc/self/status").expect("it can be read");
    let field = |key: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("{key} is in status"))
    };
    assert_eq!(this.ppid, Some(field("PPid:") as u32));
    assert_eq!(this.uid, Some(field("Uid:") as u32));
    assert_eq!(this.kernel_thread, Some(false));
    let rss = this.rss_bytes.expect("it is known");
    // The kernel's counters may lag by a batch of pages on each CPU.
    assert_close("rss_bytes", rss, field("VmRSS:") * 1024, 0.25, 4 << 20);
    assert_close(
        "vm_bytes",
        this.vm_bytes.unwrap_or(0),
        field("VmSize:") * 1024,
        0.25,
        1 << 20,
    );
    let arguments: Vec<String> = std::env::args().collect();
    assert_eq!(this.cmdline.as_deref(), Some(arguments.join(" ").as_str()));
    assert!(
        this.cgroup
            .as_deref()
            .is_some_and(|path| path.starts_with('/'))
    );
    let kthreadd = process(&accountant, 2);
    assert_eq!(kthreadd.kernel_thread, Some(true));
    assert_eq!(&*kthreadd.comm, "kthreadd");
}
