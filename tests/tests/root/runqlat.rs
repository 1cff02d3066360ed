//! Run-queue waits, compared with `runqlat` of libbpf-tools in the same seconds.
//!
//! Similar tools cannot be compared: `cpudist` counts a slice only if the task was
//! preempted, and counts slices of the idle task; `cpudist -O` includes the run-queue wait
//! in the off-CPU time.

use std::{
    fs,
    io::Read as _,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use collector::metric::LatencyHistogram;
use rustix::process::{Pid, Signal, kill_process};

use crate::load;

/// For how long both look.
const WINDOW: Duration = Duration::from_secs(10);
/// How far two shares of all waits may be apart.
const MARGIN: f64 = 0.02;
/// By how much more may be counted here: `runqlat` does not see the wait of a
/// task that was preempted between noting that it will sleep and doing so.
const UNSEEN: f64 = 0.05;
/// Shorter waits are counted in one bucket. If a wakeup preempts the current task, the
/// kernel skips an update of the clock and counts these few microseconds as zero (`wakeup_preempt` of `kernel/sched/core.c`,
/// with `rq_clock_skip_update`), and so do the programs.
const SHORT_US: u64 = 8;

/// A program that is killed when the test ends, also by a panic.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        let name = command.get_program().to_owned();
        Self(child.unwrap_or_else(|error| {
            panic!(
                "{}: {error}: run `cargo xtask setup --for test`",
                name.display()
            )
        }))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("it runs");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have exited already. Its children exit with it.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

/// How many programs a process has attached.
fn attached(pid: u32) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo"));
    descriptors
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .filter(|info| info.contains("link_type:"))
        .count()
}

/// `runqlat`, with its three programs attached.
fn start_runqlat() -> Running {
    let runqlat = Running::start(Command::new("runqlat").stdout(Stdio::piped()));
    let deadline = Instant::now() + Duration::from_mins(1);
    while attached(runqlat.0.id()) < 3 {
        assert!(Instant::now() < deadline, "runqlat does not attach");
        thread::sleep(Duration::from_millis(10));
    }
    runqlat
}

/// Waits by their length in µs: less than [`SHORT_US`], and then by powers of
/// two as `runqlat` counts them.
#[derive(Debug, Default)]
struct Waits(Vec<u64>);

impl Waits {
    fn add(&mut self, us: u64, count: u64) {
        let slot = us.max(SHORT_US / 2).ilog2() as usize;
        if self.0.len() <= slot {
            self.0.resize(slot + 1, 0);
        }
        self.0[slot] += count;
    }

    /// Lines like `         4 -> 7          : 481      |****      |`.
    fn of_runqlat(output: &str) -> Self {
        let mut waits = Self::default();
        for line in output.lines() {
            let row = line.split_once("->").and_then(|(from, rest)| {
                let (_to, rest) = rest.split_once(':')?;
                let count = rest.split_whitespace().next()?;
                Some((from.trim().parse().ok()?, count.parse().ok()?))
            });
            if let Some((from, count)) = row {
                waits.add(from, count);
            }
        }
        waits
    }

    /// The waits between two readings, each with the middle of its bucket as its length.
    fn between(before: &LatencyHistogram, after: &LatencyHistogram) -> Self {
        let mut waits = Self::default();
        for bucket in &after.buckets {
            let old = before
                .buckets
                .iter()
                .find(|old| old.from_ns == bucket.from_ns)
                .map_or(0, |old| old.count);
            let middle = bucket.from_ns + (bucket.to_ns.saturating_sub(bucket.from_ns)) / 2;
            waits.add(middle / 1_000, bucket.count - old);
        }
        waits
    }

    fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The share of waits in the slots before this one.
    fn share_before(&self, slot: usize) -> f64 {
        let before: u64 = self.0.iter().take(slot).sum();
        before as f64 / self.count() as f64
    }

    /// The slot that the fraction of all does not exceed.
    fn quantile(&self, fraction: f64) -> usize {
        (0..self.0.len())
            .find(|&slot| self.share_before(slot + 1) >= fraction)
            .expect("the last one has all before it")
    }
}

#[test]
fn the_run_queue_waits_are_those_of_runqlat() {
    let accountant = load();
    let waits = || {
        let total = accountant.sched_latency().total;
        total.runqueue_wait.expect("it is known")
    };
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    // Some burn, some pass a byte around, some sleep.
    let load = Running::start(
        Command::new("stress-ng")
            .args(["--cpu", &(cpus + 1).to_string(), "--pipe", "1"])
            .args(["--nanosleep", "2", "--timeout", "120", "--quiet"])
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    );
    thread::sleep(Duration::from_secs(1));

    let mut runqlat = start_runqlat();
    let before = waits();
    thread::sleep(WINDOW);
    let after = waits();
    runqlat.signal(Signal::INT);
    let mut output = String::new();
    let pipe = runqlat.0.stdout.as_mut().expect("it is piped");
    pipe.read_to_string(&mut output).expect("it is text");
    drop(load);

    let theirs = Waits::of_runqlat(&output);
    let ours = Waits::between(&before, &after);
    println!("runqlat: {theirs:?}\n   ours: {ours:?}");
    println!(
        "counts: {} and {}; p50: {} and {}; p99: {} and {}",
        theirs.count(),
        ours.count(),
        theirs.quantile(0.5),
        ours.quantile(0.5),
        theirs.quantile(0.99),
        ours.quantile(0.99)
    );
    assert!(theirs.count() > 10_000, "{output}");
    let counted = ours.count() as f64 / theirs.count() as f64;
    assert!(
        (1.0 - MARGIN..=1.0 + UNSEEN).contains(&counted),
        "{counted} times as many"
    );
    for fraction in [0.5, 0.9, 0.99] {
        assert!(
            ours.quantile(fraction).abs_diff(theirs.quantile(fraction)) <= 1,
            "quantile {fraction}"
        );
    }
    // They take the time at other points of a wakeup, so that one may have in a
    // slot what the other has in the next.
    for slot in 0..ours.0.len().max(theirs.0.len()) {
        let share = ours.share_before(slot);
        let from = theirs.share_before(slot.saturating_sub(1)) - MARGIN;
        let to = theirs.share_before(slot + 1) + MARGIN;
        assert!(
            (from..=to).contains(&share),
            "{share} of all are in the slots before {slot}, by runqlat {from} to {to}"
        );
    }
}
