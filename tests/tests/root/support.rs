//! Helper functions of several tests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use collector::{
    collectors::ebpf::Accountant,
    metric::{CpuTimes, ExitEvent, Process, ProcessStats},
    source::{Sources, bpf::LoadOptions},
};
use collector_tests::{
    Child, ProcTask, Recording, TestCgroup, Usage, emulation_slack_ns, helper, wait_until,
};
use tokio::runtime::{Builder, Runtime};

/// The programs, loaded and attached.
pub(crate) fn load() -> Accountant {
    load_with(&LoadOptions::default())
}

/// The same with options.
pub(crate) fn load_with(options: &LoadOptions) -> Accountant {
    Accountant::load(options).unwrap_or_else(|error| panic!("{error}"))
}

/// The programs, and all events from now on.
pub(crate) fn load_and_record() -> (Accountant, Recording) {
    let accountant = load();
    let recorder = Recording::of(&accountant);
    (accountant, recorder)
}

/// A runtime for an agent in a test.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads can be created")
}

/// A test of `helpers`, as a child process.
pub(crate) fn start(test: &str) -> Child {
    let name = format!("helpers::{test}");
    Child::spawn(&mut helper(&name).expect("this binary is known")).expect("it starts")
}

/// Stops a child, and waits until it has left its CPU: then its numbers stand
/// still.
pub(crate) fn stop(child: &Child) {
    child.signal(libc::SIGSTOP);
    wait_until("it is stopped", || {
        ProcTask::is_stopped(child.pid()).unwrap_or(false) && is_off_cpu(child.pid())
    });
}

/// Whether no thread of a process runs or waits for a CPU.
#[track_caller]
pub(crate) fn is_off_cpu(pid: u32) -> bool {
    ProcTask::is_off_cpu(pid).expect("it is there, and the kernel shows its system calls")
}

/// All processes.
pub(crate) fn processes(accountant: &Accountant) -> ProcessStats {
    accountant
        .process_stats(&Sources::live().tick())
        .expect("a reading is had")
}

/// One process.
pub(crate) fn process(accountant: &Accountant, pid: u32) -> Process {
    let reading = processes(accountant);
    let found = reading.processes.get(pid);
    found
        .unwrap_or_else(|| panic!("process {pid} is not shown"))
        .into_owned()
}

/// What the programs know of each CPU.
pub(crate) fn cpu_times(accountant: &Accountant) -> Vec<CpuTimes> {
    accountant.cpu_times(&Sources::live().tick())
}

/// What a clock tick of `/proc` is, and no timer tick is longer.
pub(crate) const TICK_NS: u64 = 10_000_000;

/// Asserts that a value is within a fraction of what it should be, or within
/// an absolute distance of it.
#[track_caller]
pub(crate) fn assert_close(what: &str, value: u64, expected: u64, fraction: f64, distance: u64) {
    let allowed = ((expected as f64 * fraction) as u64).max(distance);
    assert!(
        value.abs_diff(expected) <= allowed,
        "{what}: {value}, expected {expected} ± {allowed}"
    );
}

/// Waits for the event of a child's end, and only then asks the kernel what it
/// used: by then it has left its CPU for the last time, so both are final.
#[track_caller]
pub(crate) fn end_of(recorder: &Recording, child: Child) -> (ExitEvent, Usage) {
    let who = child.identity().expect("nobody has waited for it");
    let recorded = recorder.wait_for_exits(&[who]);
    let mut exits = recorded.of(&who).exits.into_iter();
    let exit = exits
        .next()
        .unwrap_or_else(|| panic!("the end of {who:?} is not told"));
    assert_eq!(exits.next(), None, "the end of {who:?} is told once");
    (exit, child.wait().expect("it is a child"))
}

/// Asserts that an exit event has the totals of `wait4`, which truncates two times to
/// microseconds.
#[track_caller]
pub(crate) fn assert_charged_as_by_wait4(exit: &ExitEvent, usage: &Usage) {
    assert_charged_with_ended_threads(exit, usage, 0);
}

/// The same for a process with this number of exited threads besides its leader.
///
/// The kernel adds up such a thread when the thread releases itself (`__exit_signal` in
/// kernel/exit.c). What it uses from then to its last switch, and that switch, are in no
/// total of the kernel, but in those of the programs: the CPUs were busy with it.
#[track_caller]
pub(crate) fn assert_charged_with_ended_threads(exit: &ExitEvent, usage: &Usage, threads: u64) {
    let by_wait4 = usage.cpu.as_nanos() as u64;
    let cpu_ns = exit.cpu_ns.expect("it is known");
    let ends = if threads == 0 {
        0
    } else {
        (by_wait4 / 1_000).max(200_000) + emulation_slack_ns()
    };
    let highest = by_wait4 + 2_000 + ends;
    assert!(
        (by_wait4..=highest).contains(&cpu_ns),
        "{cpu_ns} ns, from {by_wait4} to {highest} by wait4"
    );
    for (what, value, by_wait4) in [
        (
            "voluntary",
            exit.voluntary_switches,
            usage.voluntary_switches,
        ),
        (
            "involuntary",
            exit.involuntary_switches,
            usage.involuntary_switches,
        ),
    ] {
        let value = value.expect("it is known");
        assert!(
            (by_wait4..=by_wait4 + threads).contains(&value),
            "{value} {what} switches, {by_wait4} by wait4, {threads} threads ended"
        );
    }
    assert_eq!(
        (exit.minor_faults, exit.major_faults),
        (Some(usage.minor_faults), Some(usage.major_faults)),
        "minor and major faults"
    );
    let split = exit.user_ns.unwrap_or(0) + exit.system_ns.unwrap_or(0);
    assert_eq!(split, cpu_ns, "user_ns + system_ns");
    assert_close(
        "user_ns",
        exit.user_ns.unwrap_or(0),
        usage.user.as_nanos() as u64,
        0.0,
        TICK_NS + ends,
    );
}

/// A process that is moved to and fro between two cgroups, some fifty times a
/// second, until this is dropped.
pub(crate) struct Moving {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Moving {
    pub(crate) fn begin() -> Self {
        let cgroups = ["moving-1", "moving-2"]
            .map(|name| TestCgroup::version_2(name).expect("root may make one"));
        let child = start("burn_for_ever");
        child.signal(libc::SIGSTOP);
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            // The child exits before its cgroups are removed.
            let (cgroups, child) = (cgroups, child);
            while !is_over.load(Ordering::Relaxed) {
                for cgroup in &cgroups {
                    cgroup.take(child.pid()).expect("root may move it");
                    thread::sleep(Duration::from_millis(20));
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(
            matches!(ended, Some(Ok(()))) || thread::panicking(),
            "it was moved until the end"
        );
    }
}

/// The totals of all processes, running and exited, and of all CPUs, of one window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals {
    pub(crate) charged_ns: u64,
    pub(crate) busy_ns: u64,
    pub(crate) unattributed_ns: u64,
}

/// The totals as of now, and the CPUs.
pub(crate) fn look(accountant: &Accountant) -> (Totals, Vec<CpuTimes>) {
    let look = accountant
        .processes_and_cpus(&Sources::live().tick())
        .expect("a reading is had");
    let alive = look.processes.processes.iter();
    let alive: u64 = alive.filter_map(|process| process.cpu_ns).sum();
    let totals = Totals {
        charged_ns: alive + look.processes.exited.cpu_ns.unwrap_or(0),
        busy_ns: sum(&look.cpus, |cpu| cpu.busy_ns),
        unattributed_ns: sum(&look.cpus, |cpu| cpu.unattributed_ns),
    };
    (totals, look.cpus)
}

/// A field, summed over CPUs.
pub(crate) fn sum(cpus: &[CpuTimes], field: impl Fn(&CpuTimes) -> Option<u64>) -> u64 {
    cpus.iter().filter_map(field).sum()
}

impl Totals {
    /// Asserts that the busy time of the CPUs is charged to a process or unattributed, and
    /// not both, up to a thousandth.
    #[track_caller]
    pub(crate) fn assert_each_counted_once(&self, after: &Self) {
        let charged = after.charged_ns - self.charged_ns;
        let unattributed = after.unattributed_ns - self.unattributed_ns;
        let busy = after.busy_ns - self.busy_ns;
        let allowed = busy / 1_000 + 1_000_000 + emulation_slack_ns();
        println!("{charged} ns charged, {unattributed} unattributed, {busy} busy");
        assert!(
            (charged + unattributed).abs_diff(busy) <= allowed,
            "{charged} ns charged and {unattributed} unattributed, {busy} ns of the CPUs, ± {allowed}"
        );
    }

    /// Asserts that the processes were charged with what the CPUs did, but for
    /// a thousandth and what tasks did that had no record.
    #[track_caller]
    pub(crate) fn assert_conserved(before: &Self, after: &Self) {
        let charged = after.charged_ns - before.charged_ns;
        let busy = after.busy_ns - before.busy_ns;
        let unattributed = after.unattributed_ns - before.unattributed_ns;
        println!(
            "{charged} ns charged, {busy} ns busy ({:+.4} %), {unattributed} ns unattributed",
            (charged as f64 / busy as f64 - 1.0) * 100.0
        );
        // Both are of one look, but that takes a while, and an emulated CPU is
        // held up in the midst of it.
        let allowed = busy / 1_000 + unattributed + emulation_slack_ns();
        assert!(
            charged.abs_diff(busy) <= allowed,
            "{charged} ns charged to processes, {busy} ns of the CPUs, ± {allowed}"
        );
    }
}
