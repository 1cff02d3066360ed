use std::{thread, time::Duration};

use collector::{
    metric::Process,
    source::{Sources, ebpf::Scheduler},
};
use collector_tests::{
    Child, EventRecorder, cpu_clock_ns, cpu_clock_step_ns, emulation_slack_ns, helper, schedstat,
};

use crate::load;

/// Asserts that a value is within a fraction of what it should be, or within
/// an absolute distance of it.
#[track_caller]
fn assert_close(what: &str, value: u64, expected: u64, fraction: f64, distance: u64) {
    let allowed = ((expected as f64 * fraction) as u64).max(distance);
    assert!(
        value.abs_diff(expected) <= allowed,
        "{what}: {value}, expected {expected} ± {allowed}"
    );
}

fn process(scheduler: &Scheduler, pid: u32) -> Process {
    let reading = scheduler
        .process_stats(&Sources::live().tick())
        .expect("a reading is had");
    let found = reading.processes.iter().find(|process| process.pid == pid);
    found
        .unwrap_or_else(|| panic!("process {pid} is not shown"))
        .clone()
}

/// Runs a helper to its end, and compares its exit event with what the kernel
/// tells the parent.
fn assert_charged_as_getrusage(test: &str) {
    let scheduler = load();
    let recorder = EventRecorder::default();
    scheduler.send_events_to(recorder.clone());
    let child = Child::spawn(&mut helper(test).expect("this binary is known")).expect("it starts");
    let pid = child.pid();
    let usage = child.wait().expect("it is a child");
    assert!(usage.status.success(), "{:?}", usage.status);
    let recorded = recorder.wait_for_exits(&[pid]);
    let exit = recorded
        .exits
        .iter()
        .find(|exit| exit.pid == pid)
        .expect("its end is told");
    assert_close(
        "cpu_ns",
        exit.cpu_ns.unwrap_or(0),
        usage.cpu.as_nanos() as u64,
        0.01,
        100_000 + emulation_slack_ns(),
    );
    let split = exit.user_ns.unwrap_or(0) + exit.system_ns.unwrap_or(0);
    assert_close(
        "user_ns + system_ns",
        split,
        exit.cpu_ns.unwrap_or(0),
        0.0,
        0,
    );
    assert_eq!(exit.exit_code, Some(0));
    assert_eq!(exit.signal, None);
    assert!(
        exit.minor_faults.unwrap_or(0).abs_diff(usage.minor_faults) <= 16,
        "{exit:?} {usage:?}"
    );
}

#[test]
fn a_child_that_burns_cpu_is_charged_as_getrusage_says() {
    assert_charged_as_getrusage("helpers::burn");
}

#[test]
fn the_time_of_threads_that_ended_counts() {
    assert_charged_as_getrusage("helpers::burn_in_threads");
}

#[test]
fn a_program_executed_from_another_thread_keeps_the_process_and_its_time() {
    assert_charged_as_getrusage("helpers::exec_from_a_thread");
}

#[test]
fn a_process_shows_its_time_while_it_runs() {
    let scheduler = load();
    let child = Child::spawn(&mut helper("helpers::burn_for_ever").expect("this binary is known"))
        .expect("it starts");
    let step = cpu_clock_step_ns();
    let mut last = 0;
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(200));
        let before = cpu_clock_ns(child.pid()).expect("it runs");
        let shown = process(&scheduler, child.pid())
            .cpu_ns
            .expect("it is known");
        let after = cpu_clock_ns(child.pid()).expect("it runs");
        // Between the two looks at the clock, with a margin for steal time,
        // which the kernel takes off only when it next looks at its own clock.
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
fn run_queue_wait_and_switches_are_those_of_proc() {
    let scheduler = load();
    // More burning children than CPUs, so that they wait for each other.
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let children: Vec<Child> = (0..=cpus)
        .map(|_| {
            Child::spawn(&mut helper("helpers::burn_for_ever").expect("this binary is known"))
                .expect("it starts")
        })
        .collect();
    thread::sleep(Duration::from_secs(2));
    // Stopped, their numbers stand still.
    for child in &children {
        child.signal(libc::SIGSTOP);
    }
    thread::sleep(Duration::from_millis(500));
    for child in &children {
        let pid = child.pid();
        let shown = process(&scheduler, pid);
        let [cpu, wait, _times] = schedstat(pid).expect("the kernel keeps it");
        assert_close("cpu_ns", shown.cpu_ns.unwrap_or(0), cpu, 0.001, 200_000);
        assert_close(
            "runqueue_ns",
            shown.runqueue_ns.unwrap_or(0),
            wait,
            0.02,
            200_000,
        );
        let mut voluntary = 0;
        let mut involuntary = 0;
        for thread in std::fs::read_dir(format!("/proc/{pid}/task")).expect("it is there") {
            let path = thread.expect("it is there").path().join("status");
            let status = std::fs::read_to_string(path).expect("it can be read");
            let value = |key: &str| -> u64 {
                let line = status.lines().find_map(|line| line.strip_prefix(key));
                line.and_then(|rest| rest.trim().parse().ok())
                    .unwrap_or_else(|| panic!("{key}"))
            };
            voluntary += value("voluntary_ctxt_switches:");
            involuntary += value("nonvoluntary_ctxt_switches:");
        }
        assert_eq!(shown.voluntary_switches, Some(voluntary), "process {pid}");
        assert_eq!(
            shown.involuntary_switches,
            Some(involuntary),
            "process {pid}"
        );
        assert_eq!(shown.state, Some(collector::metric::ProcessState::Stopped));
    }
    for child in children {
        child.signal(libc::SIGKILL);
        child.wait().expect("it is a child");
    }
}

#[test]
fn what_the_pass_over_all_tasks_brings_is_what_proc_shows() {
    let scheduler = load();
    let this = process(&scheduler, std::process::id());
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
    let kthreadd = process(&scheduler, 2);
    assert_eq!(kthreadd.kernel_thread, Some(true));
    assert_eq!(&*kthreadd.comm, "kthreadd");
}
