//! Numbers that are given to one process after the other.

use std::{collections::BTreeSet, fs, process::Command};

use collector_tests::{Child, burn_cpu_ms, emulation_slack_ns, fork};

use crate::support::{assert_charged_as_by_wait4, assert_close, load_and_record, processes};

#[test]
fn processes_with_a_reused_pid_are_distinguished() {
    const GENERATIONS: u64 = 10;
    let (accountant, recorder) = load_and_record();
    let mut number = None;
    let mut usages = Vec::new();
    for generation in 1..=GENERATIONS {
        // SAFETY: it makes system calls only.
        let child = unsafe { fork(0, number, || burn_cpu_ms(5 * generation)) }.expect("it starts");
        let pid = child.pid();
        assert_eq!(*number.get_or_insert(pid), pid);
        if generation % 3 == 0 {
            // It may have exited already.
            let reading = processes(&accountant);
            let used = reading.processes.get(pid).and_then(|row| row.cpu_ns);
            let used = used.unwrap_or(0);
            assert!(used < 1_000_000_000, "it has {used} ns of those before it");
        }
        // Some are reaped at once, so that the next one starts before the exit event of
        // this one.
        let is_final = generation % 2 == 0;
        let usage = if is_final {
            last_end(&recorder, child, usages.len())
        } else {
            child.wait().expect("it is a child")
        };
        usages.push((usage, is_final));
    }
    let pid = number.expect("it has been given");
    let recorded = wait_for_exits(&recorder, pid, usages.len());
    let exits: Vec<_> = recorded
        .exits
        .iter()
        .filter(|exit| exit.pid == pid)
        .collect();
    let starts: BTreeSet<u64> = exits.iter().map(|exit| exit.start_time_ns).collect();
    assert_eq!(exits.len() as u64, GENERATIONS);
    assert_eq!(
        starts.len() as u64,
        GENERATIONS,
        "each began at another time"
    );
    for (index, (exit, (usage, is_final))) in exits.iter().zip(&usages).enumerate() {
        let burned = 5_000_000 * (index as u64 + 1);
        let used = usage.cpu.as_nanos() as u64;
        assert!(used >= burned, "{used} ns by wait4, {burned} by itself");
        if *is_final {
            assert_charged_as_by_wait4(exit, usage);
        } else {
            // It may have run a moment longer, until its last switch.
            let distance = 4_000_000 + emulation_slack_ns();
            assert_close("cpu_ns", exit.cpu_ns.unwrap_or(0), used, 0.0, distance);
        }
    }
    assert!(processes(&accountant).processes.get(pid).is_none());
}

/// Waits for the event of a child's end, of which there have been some with
/// its number.
fn last_end(
    recorder: &collector_tests::EventRecorder,
    child: Child,
    before: usize,
) -> collector_tests::Usage {
    wait_for_exits(recorder, child.pid(), before + 1);
    child.wait().expect("it is a child")
}

fn wait_for_exits(
    recorder: &collector_tests::EventRecorder,
    pid: u32,
    count: usize,
) -> collector_tests::Recorded {
    let ended = || {
        let recorded = recorder.recorded();
        recorded.exits.iter().filter(|exit| exit.pid == pid).count()
    };
    collector_tests::wait_until("their ends are told", || ended() >= count);
    recorder.recorded()
}

/// `kernel.pid_max`, which is put back when this is dropped.
struct PidMax(String);

impl PidMax {
    const PATH: &str = "/proc/sys/kernel/pid_max";

    fn set(value: &str) -> Self {
        let before = fs::read_to_string(Self::PATH).expect("it can be read");
        let guard = Self(before);
        fs::write(Self::PATH, value).expect("root may set it");
        guard
    }
}

impl Drop for PidMax {
    fn drop(&mut self) {
        let _the_guest_ends_soon = fs::write(Self::PATH, self.0.trim());
    }
}

#[test]
fn every_process_has_its_events_when_pids_are_reused_quickly() {
    const PROCESSES: usize = 1_000;
    if !collector_tests::is_guest() {
        println!("skipped: only a virtual machine's pid_max is changed");
        return;
    }
    let (accountant, recorder) = load_and_record();
    let pid_max = PidMax::set("500");
    let mut pids = Vec::new();
    for _ in 0..PROCESSES {
        let child = Child::spawn(&mut Command::new("/bin/true")).expect("it starts");
        pids.push(child.pid());
        child.wait().expect("it is a child");
    }
    drop(pid_max);
    let different: BTreeSet<u32> = pids.iter().copied().collect();
    assert!(different.len() < 500, "{} numbers", different.len());
    let ours = |recorded: &collector_tests::Recorded| {
        let this = Some(std::process::id());
        recorded
            .exits
            .iter()
            .filter(|exit| exit.ppid == this)
            .count()
    };
    collector_tests::wait_until("all ends are told", || {
        ours(&recorder.recorded()) >= PROCESSES
    });
    assert_eq!(ours(&recorder.recorded()), PROCESSES);
    let reading = processes(&accountant);
    let ghosts: Vec<u32> = reading
        .processes
        .iter()
        .map(|process| process.pid)
        .filter(|pid| {
            different.contains(pid) && !fs::exists(format!("/proc/{pid}")).unwrap_or(false)
        })
        .collect();
    assert_eq!(ghosts, [0; 0]);
}
