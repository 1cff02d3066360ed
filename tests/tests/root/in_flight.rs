//! What a process has used is right at each moment, also if it never leaves
//! its CPU.

use std::{
    borrow::Cow,
    env, fs,
    io::Read as _,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use collector::{collectors::ebpf::Accountant, metric::Process, source::Sources};
use collector_tests::{Child, emulation_slack_ns, helper, schedstat};
use rustix::{
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
    time::{ClockId, clock_gettime},
};

use crate::load;

/// A clock tick, to which `/proc/PID/stat` rounds down.
const TICK_NS: u64 = 10_000_000;

/// Names the file in which the child keeps [`Account`].
const ACCOUNT: &str = "COLLECTOR_TEST_ACCOUNT";
/// The child's priority among those that run until they give their CPU up.
const PRIORITY: &str = "COLLECTOR_TEST_PRIORITY";

/// The CPU that the child keeps.
const KEPT: &str = "COLLECTOR_TEST_CPU";

/// For how long the child keeps it, in milliseconds.
const TURN: &str = "COLLECTOR_TEST_TURN_MS";

/// The start of the child, on `CLOCK_MONOTONIC` in ns.
const BEGIN: &str = "COLLECTOR_TEST_BEGIN";

/// For how long children may keep a CPU: the scheduler takes it from tasks of
/// their kind after 950 ms of a second.
const LONGEST_TURN: Duration = Duration::from_millis(800);

/// What the child found its clocks to be at one time.
#[repr(C)]
struct Account {
    /// Odd while the others are written.
    version: AtomicU64,
    /// `CLOCK_MONOTONIC`.
    at_ns: AtomicU64,
    /// `CLOCK_PROCESS_CPUTIME_ID`, exact to the nanosecond.
    cpu_ns: AtomicU64,
}

fn account(path: &std::path::Path) -> &'static Account {
    use std::os::fd::AsRawFd as _;
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("it is there");
    // SAFETY: a new mapping; it is never taken away, and the file is as long
    // as the structure, in which any bits are a value.
    unsafe {
        let memory = libc::mmap(
            std::ptr::null_mut(),
            size_of::<Account>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        );
        assert_ne!(memory, libc::MAP_FAILED, "it can be mapped");
        &*memory.cast::<Account>()
    }
}

fn now_ns(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Keeps the last CPU for itself: half of the time in user mode, half in the
/// kernel.
#[test]
#[ignore = "run by another test as a child process"]
fn keep_a_cpu() {
    let account = env::var_os(ACCOUNT).map(|path| account(path.as_ref()));
    let priority = env::var(PRIORITY).expect("it is told");
    let parameters = libc::sched_param {
        sched_priority: priority.parse().expect("it is a number"),
    };
    let kept = env::var(KEPT).expect("it is told");
    let mut cpus = CpuSet::new();
    cpus.set(kept.parse().expect("it is a number"));
    sched_setaffinity(None, &cpus).expect("there is such a CPU");
    // SAFETY: the pointer is to a value of this function.
    let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    assert_eq!(set, 0, "root may");
    let turn = env::var(TURN).expect("it is told");
    let turn = Duration::from_millis(turn.parse().expect("it is a number"));
    let begin = env::var(BEGIN).expect("it is told");
    let begin: u64 = begin.parse().expect("it is a number");
    thread::sleep(Duration::from_nanos(
        begin.saturating_sub(now_ns(ClockId::Monotonic)),
    ));
    let begin = Instant::now();
    let mut buffer = vec![0u8; 1 << 16];
    let mut zeros = fs::File::open("/dev/zero").expect("it is there");
    while begin.elapsed() < turn {
        if let Some(account) = account {
            account.version.fetch_add(1, Ordering::AcqRel);
            let at = now_ns(ClockId::Monotonic);
            account.at_ns.store(at, Ordering::Relaxed);
            let cpu = now_ns(ClockId::ProcessCPUTime);
            account.cpu_ns.store(cpu, Ordering::Relaxed);
            account.version.fetch_add(1, Ordering::AcqRel);
        }
        let part = Instant::now();
        while part.elapsed() < Duration::from_millis(20) {
            std::hint::black_box(&mut buffer).fill(1);
        }
        while part.elapsed() < Duration::from_millis(40) {
            zeros.read_exact(&mut buffer).expect("there are zeros");
        }
    }
}

/// As long as this lives, the current thread does not run on the child's CPU.
struct Apart {
    before: CpuSet,
    kept: usize,
}

impl Apart {
    fn new() -> Self {
        let before = sched_getaffinity(None).expect("it is told");
        let kept = (0..CpuSet::MAX_CPU)
            .rfind(|&cpu| before.is_set(cpu))
            .expect("there is one");
        let mut others = before;
        others.unset(kept);
        sched_setaffinity(None, &others).expect("there is more than one CPU");
        Self { before, kept }
    }

    /// The command of a child that keeps the CPU.
    fn child(&self, priority: u32, turn: Duration) -> Command {
        let mut command = helper("in_flight::keep_a_cpu").expect("this binary is known");
        command.env(KEPT, self.kept.to_string());
        command.env(PRIORITY, priority.to_string());
        command.env(TURN, turn.as_millis().to_string());
        command.env(BEGIN, "0");
        command
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        sched_setaffinity(None, &self.before).expect("it was so before");
    }
}

fn process(accountant: &Accountant, pid: u32) -> Option<Process> {
    let reading = accountant
        .process_stats(&Sources::live().tick())
        .expect("a reading is had");
    reading
        .processes
        .iter()
        .find(|process| process.pid == pid)
        .map(Cow::into_owned)
}

/// `utime` and `stime` of `/proc/PID/stat`, in ns.
fn split(pid: u32) -> Option<[u64; 2]> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_comm, rest) = text.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace().skip(11);
    let mut next = || -> Option<u64> { Some(words.next()?.parse::<u64>().ok()? * TICK_NS) };
    Some([next()?, next()?])
}

impl Account {
    /// What the child wrote last; `None` while it writes, and before it has.
    fn read(&self) -> Option<Sample> {
        let version = self.version.load(Ordering::Acquire);
        let sample = Sample {
            at_ns: self.at_ns.load(Ordering::Acquire),
            cpu_ns: self.cpu_ns.load(Ordering::Acquire),
        };
        let is_whole = version.is_multiple_of(2) && self.version.load(Ordering::Acquire) == version;
        (is_whole && version > 0).then_some(sample)
    }
}

/// What [`Account`] held.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sample {
    at_ns: u64,
    cpu_ns: u64,
}

/// The value of a reading between two reads of the clock, after the child took a sample.
struct Shown {
    sample: Sample,
    before_ns: u64,
    cpu_ns: u64,
    after_ns: u64,
}

impl Shown {
    /// The difference from the child's clock, if the child was on its CPU from one sample
    /// to the `next` except for less than a millisecond: otherwise it is unknown how much
    /// of the gap came before the reading.
    fn distance_ns(&self, next: Sample) -> Option<u64> {
        let passed = next.at_ns - self.sample.at_ns;
        let lost = passed.saturating_sub(next.cpu_ns - self.sample.cpu_ns);
        let until = |ns: u64| self.sample.cpu_ns + ns.saturating_sub(self.sample.at_ns);
        let least = until(self.before_ns).saturating_sub(lost);
        let most = until(self.after_ns);
        let distance = least.saturating_sub(self.cpu_ns) + self.cpu_ns.saturating_sub(most);
        (lost < 1_000_000 + emulation_slack_ns()).then_some(distance)
    }
}

/// Asserts that user and system time are within a clock tick of `/proc/PID/stat` before
/// and after.
fn assert_split(shown: &Process, before: [u64; 2], after: [u64; 2]) {
    let shown = [shown.user_ns, shown.system_ns].map(|part| part.expect("it is known"));
    let slack = TICK_NS + emulation_slack_ns();
    for part in 0..2 {
        assert!(
            shown[part] + slack >= before[part] && shown[part] <= after[part] + TICK_NS + slack,
            "user and system {shown:?}, in /proc/PID/stat {before:?} and then {after:?}"
        );
    }
}

#[test]
fn a_process_that_never_leaves_its_cpu_shows_its_cpu_time() {
    let accountant = load();
    let apart = Apart::new();
    let file = tempfile::NamedTempFile::new().expect("there is a place for files");
    file.as_file()
        .set_len(size_of::<Account>() as u64)
        .expect("there is room");
    let account = account(file.path());
    let child =
        Child::spawn(apart.child(1, LONGEST_TURN).env(ACCOUNT, file.path())).expect("it starts");
    let pid = child.pid();
    let begin = Instant::now();
    let (mut readings, mut worst, mut splits) = (0, 0, 0);
    let mut switches = None;
    let mut last: Option<Shown> = None;
    while begin.elapsed() < LONGEST_TURN {
        thread::sleep(Duration::from_millis(25));
        let Some(sample) = account.read() else {
            continue;
        };
        if last.as_ref().is_some_and(|last| last.sample != sample)
            && let Some(last) = last.take()
            && let Some(distance) = last.distance_ns(sample)
        {
            readings += 1;
            worst = worst.max(distance);
            let allowed = (last.cpu_ns / 1_000).max(200_000) + emulation_slack_ns();
            assert!(
                distance <= allowed,
                "cpu_ns {}, {distance} off by its own clock",
                last.cpu_ns
            );
        }
        let split_before = split(pid);
        let before_ns = now_ns(ClockId::Monotonic);
        let shown = process(&accountant, pid);
        let after_ns = now_ns(ClockId::Monotonic);
        let Some(shown) = shown else {
            continue;
        };
        let left = (shown.voluntary_switches, shown.involuntary_switches);
        if switches.replace(left) != Some(left) {
            // It has just got its CPU, or was driven out by the kernel itself.
            continue;
        }
        if let (Some(before), Some(after)) = (split_before, split(pid)) {
            assert_split(&shown, before, after);
            splits += 1;
        }
        last = (account.read() == Some(sample)).then(|| Shown {
            sample,
            before_ns,
            cpu_ns: shown.cpu_ns.expect("it is known"),
            after_ns,
        });
    }
    child.signal(libc::SIGKILL);
    child.wait().expect("it is a child");
    println!("{readings} readings, at most {worst} ns off; {splits} with the split of /proc");
    assert!(readings >= 3 && splits >= 3, "almost no reading was taken");
}

#[test]
fn the_wait_before_the_current_slice_is_counted() {
    let accountant = load();
    let apart = Apart::new();
    // Both are there before they begin, however slow the machine.
    let begin = now_ns(ClockId::Monotonic) + 1_000_000_000 + emulation_slack_ns();
    let keep = |priority, begin_ns: u64| {
        let mut command = apart.child(priority, LONGEST_TURN / 2);
        Child::spawn(command.env(BEGIN, begin_ns.to_string())).expect("it starts")
    };
    let first = keep(2, begin);
    let second = keep(1, begin + 50_000_000);
    first.wait().expect("it is a child");
    // The second has waited for the first, and has the CPU now.
    let (mut told, mut last_cpu_ns) = (0, None);
    let begin = Instant::now();
    while begin.elapsed() < LONGEST_TURN * 3 / 8 {
        thread::sleep(Duration::from_millis(25));
        let before = schedstat(second.pid());
        let Some(shown) = process(&accountant, second.pid()) else {
            continue;
        };
        let (Ok([_, before, _]), Ok([_, after, _])) = (before, schedstat(second.pid())) else {
            continue;
        };
        let wait = shown.runqueue_ns.expect("it is known");
        // It still or again waits: the wait in flight counts, too.
        if before != after || before < 100_000_000 || shown.cpu_ns <= last_cpu_ns {
            last_cpu_ns = shown.cpu_ns;
            continue;
        }
        assert_eq!(wait, before, "/proc/PID/schedstat tells the same counter");
        told += 1;
    }
    second.signal(libc::SIGKILL);
    second.wait().expect("it is a child");
    assert!(told >= 3, "it did not wait: {told}");
}
