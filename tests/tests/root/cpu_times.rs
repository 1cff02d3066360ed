//! The times of the CPUs, read without `/proc/stat`, are those of `/proc/stat`.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use collector::{
    collectors::{
        Collector,
        ebpf::{Accountant, CpuStatsCollector},
        procfs::ProcfsCpuStats,
    },
    metric::{CpuStats, CpuTimes},
    source::{
        Sources,
        bpf::{LoadOptions, ProgramState},
        procfs::proc_stat,
        sysfs::parse_cpu_list,
    },
};
use collector_tests::{Child, helper};

use crate::load;

/// A clock tick, to which `/proc/stat` rounds down.
const TICK_NS: u64 = 10_000_000;

/// How often a reading is taken again because idle time became iowait time, or
/// the other way round, while it was taken.
const ATTEMPTS: u32 = 20;

/// How long the two are compared. An emulated machine is a tenth as fast, so
/// that it takes as long to come by as many ticks; there are as many tests for
/// it to run.
fn duration() -> Duration {
    let is_guest = std::env::var_os("COLLECTOR_TEST_VM").is_some();
    Duration::from_secs(if is_guest { 15 } else { 60 })
}

fn file() -> CpuStats {
    let text = fs::read("/proc/stat").expect("it can be read");
    let stat = proc_stat::parse(&text).expect("it is well formed");
    stat.cpu_stats
}

/// A reading by the programs, and `/proc/stat` before and after it.
pub(crate) fn bracketed(collector: &mut CpuStatsCollector) -> [CpuStats; 3] {
    let before = file();
    let tick = Sources::live().tick();
    let read = collector.collect(&tick).expect("a reading is had");
    [before, read, file()]
}

fn states(row: &CpuTimes) -> [(&'static str, Option<u64>); 10] {
    [
        ("user", row.user_ns),
        ("nice", row.nice_ns),
        ("system", row.system_ns),
        ("irq", row.irq_ns),
        ("softirq", row.softirq_ns),
        ("steal", row.steal_ns),
        ("guest", row.guest_ns),
        ("guest_nice", row.guest_nice_ns),
        ("idle", row.idle_ns),
        ("iowait", row.iowait_ns),
    ]
}

/// The first time that is not within a clock tick of `/proc/stat` before and after.
///
/// `/proc/stat` truncates idle and iowait time of each CPU to microseconds before it adds
/// them up (`get_cpu_sleep_time_us` of `kernel/time/tick-sched.c`);
/// the programs do not. So these may be higher by a microsecond for each CPU in the row,
/// as long as none of them is idle.
fn difference(
    before: &CpuTimes,
    read: &CpuTimes,
    after: &CpuTimes,
    cpus_in_row: u64,
) -> Option<String> {
    let rows = states(before)
        .into_iter()
        .zip(states(read))
        .zip(states(after));
    for (((name, before), (_, read)), (_, after)) in rows {
        let [before, read, after] = [before, read, after].map(|value| value.expect(name));
        let is_cut = matches!(name, "idle" | "iowait");
        let cut = if is_cut { cpus_in_row * 1_000 } else { 0 };
        if read < before || read >= after + TICK_NS + cut {
            return Some(format!(
                "{name} {read}, in /proc/stat {before} and then {after}"
            ));
        }
    }
    None
}

/// The rows of a reading beside those of `/proc/stat`.
fn differences([before, read, after]: &[CpuStats; 3]) -> Vec<String> {
    let numbers =
        |stats: &CpuStats| -> Vec<Option<u32>> { stats.cpus.iter().map(|row| row.cpu).collect() };
    assert_eq!(numbers(read), numbers(before), "the CPUs that are online");
    let mut found: Vec<String> = before
        .cpus
        .iter()
        .zip(&read.cpus)
        .zip(&after.cpus)
        .filter_map(|((before, read), after)| {
            difference(before, read, after, 1).map(|what| format!("CPU {:?}: {what}", read.cpu))
        })
        .collect();
    found.extend(
        difference(
            &before.total,
            &read.total,
            &after.total,
            read.cpus.len() as u64,
        )
        .map(|what| format!("all: {what}")),
    );
    found
}

/// Work of all kinds: for the CPUs, nice and not, in the kernel, with timers,
/// and with waits for storage.
struct Load {
    children: Vec<Child>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn start() -> Self {
        let mut burn = helper("helpers::burn_for_ever").expect("this binary is known");
        // Each thread has its own, from the one that made it: to set that of the
        // process when it has begun may be too late for the thread that burns.
        //
        // SAFETY: between fork and exec, only a system call is made, which takes
        // no pointer.
        unsafe {
            burn.pre_exec(|| match libc::setpriority(libc::PRIO_PROCESS, 0, 10) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        let niced = Child::spawn(&mut burn).expect("it starts");
        let stop = Arc::new(AtomicBool::new(false));
        let turns: [fn(&mut File); 3] = [
            |file| {
                file.write_all(&[1; 1 << 12]).expect("there is room");
                file.sync_all().expect("it can be written");
                file.set_len(0).expect("it can be cut");
                thread::sleep(Duration::from_millis(2));
            },
            |_file| thread::sleep(Duration::from_micros(100)),
            |_file| {
                Command::new("/bin/true").status().expect("it starts");
                thread::sleep(Duration::from_millis(5));
            },
        ];
        let threads = turns
            .into_iter()
            .map(|turn| {
                let stop = Arc::clone(&stop);
                let mut file = tempfile::tempfile().expect("there is a place for files");
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        turn(&mut file);
                    }
                })
            })
            .collect();
        Self {
            children: vec![niced],
            stop,
            threads,
        }
    }
}

// Also when an assertion fails: what went on would be counted as the children
// of the tests that follow.
impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _panic_is_told = thread.join();
        }
        self.children.clear();
    }
}

#[test]
fn each_time_of_each_cpu_is_within_a_clock_tick_of_proc_stat() {
    let accountant = load();
    assert!(
        accountant.has_cpu_stats(),
        "they are read: {:?}",
        accountant.report()
    );
    let mut collector = CpuStatsCollector::new(accountant);
    let load = Load::start();
    let end = Instant::now() + duration();
    let (mut readings, mut repeated) = (0, 0);
    let first = bracketed(&mut collector);
    while Instant::now() < end {
        thread::sleep(Duration::from_millis(250));
        let mut found = Vec::new();
        for attempt in 0..ATTEMPTS {
            let looks = bracketed(&mut collector);
            found = differences(&looks);
            let [before, read, after] = looks.map(|stats| stats.total.context_switches);
            assert!(
                before <= read && read <= after,
                "{read:?} switches, in /proc/stat {before:?} and then {after:?}"
            );
            if found.is_empty() {
                break;
            }
            // What may go back is the idle time alone; all else is exact.
            let may_go_back = |what: &String| what.contains("idle") || what.contains("iowait");
            assert!(found.iter().all(may_go_back), "{found:?}");
            repeated = repeated.max(attempt + 1);
        }
        assert!(found.is_empty(), "{found:?}");
        readings += 1;
    }
    let last = bracketed(&mut collector);
    drop(load);
    println!("{readings} readings, none taken more than {repeated} times again; all CPUs:");
    let grown = states(&first[1].total)
        .into_iter()
        .zip(states(&last[1].total));
    for ((name, first), (_, last)) in grown {
        let grown = last.expect(name).saturating_sub(first.expect(name));
        println!("{name:>10} {:>8} ms", grown / 1_000_000);
    }
    let grown =
        |field: fn(&CpuTimes) -> Option<u64>| field(&last[1].total) > field(&first[1].total);
    assert!(grown(|row| row.nice_ns), "the load was niced");
    assert!(grown(|row| row.system_ns), "the load was in the kernel");
}

#[test]
fn the_other_values_of_proc_stat_are_collected() {
    let accountant = load();
    let mut collector = CpuStatsCollector::new(accountant);
    for _ in 0..20 {
        let [before, read, after] = bracketed(&mut collector);
        // A task is counted a moment after the kernel has; so one on each CPU
        // may be missing.
        let forks = read.forks.expect("it is known") + read.cpus.len() as u64;
        assert!(
            Some(forks) >= before.forks && read.forks <= after.forks,
            "{:?} forks, in /proc/stat {:?} and then {:?}",
            read.forks,
            before.forks,
            after.forks
        );
        assert!(read.procs_running >= Some(1), "this one runs");
        assert!(read.procs_blocked.is_some());
        let switches: u64 = read
            .cpus
            .iter()
            .map(|row| row.context_switches.expect("each CPU has its own"))
            .sum();
        assert!(Some(switches) <= read.total.context_switches);
        Command::new("/bin/true").status().expect("it starts");
    }
}

#[test]
fn without_the_programs_proc_stat_is_read_and_the_report_has_the_reason() {
    for missing in ["read_cpus", "task_newtask"] {
        let options = LoadOptions {
            pretend_missing: vec![missing.to_owned()],
            ..LoadOptions::default()
        };
        let accountant = Accountant::load(&options).unwrap_or_else(|error| panic!("{error}"));
        assert!(!accountant.has_cpu_stats(), "without {missing}");
        let is_off = |state: &ProgramState| matches!(state, ProgramState::Off { .. });
        let off: Vec<&str> = accountant
            .report()
            .programs
            .iter()
            .filter(|program| is_off(&program.state))
            .map(|program| program.name)
            .collect();
        assert_eq!(off, [missing]);
        let mut collector = CpuStatsCollector::new(accountant);
        assert!(collector.sources().contains(&"/proc/stat"));
        let looks = bracketed(&mut collector);
        let [before, read, after] = &looks;
        assert!(before.forks <= read.forks && read.forks <= after.forks);
        assert!(read.total.busy_ns.is_some(), "the rest works");
        assert_eq!(
            read.cpus[0].context_switches, None,
            "/proc/stat does not tell it"
        );
    }
}

/// The numbers of a list of CPUs in `/sys`.
pub(crate) fn cpu_list(name: &str) -> Vec<u32> {
    let text = fs::read(format!("/sys/devices/system/cpu/{name}")).expect("it can be read");
    parse_cpu_list(&text).expect("it is a list of CPUs")
}

/// A reading, and how long it took.
fn timed(collector: &mut impl Collector<Reading = CpuStats>) -> (CpuStats, Duration) {
    let tick = Sources::live().tick();
    let start = Instant::now();
    let reading = collector.collect(&tick).expect("a reading is had");
    (reading, start.elapsed())
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// Prints what a reading costs by each collector, which
/// `cargo xtask test-vm --possible-cpus 256 --figures of_possible_cpus` shows.
#[test]
fn of_possible_cpus_only_online_ones_have_a_row() {
    const READINGS: usize = 501;
    let online = cpu_list("online");
    let possible = cpu_list("possible").len();
    let mut programs = CpuStatsCollector::new(load());
    let mut file = ProcfsCpuStats;
    let (mut by_programs, mut by_file) = (Vec::new(), Vec::new());
    for _ in 0..READINGS {
        let (read, took) = timed(&mut programs);
        by_programs.push(took);
        let (told, took) = timed(&mut file);
        by_file.push(took);
        for stats in [read, told] {
            let cpus: Vec<u32> = stats.cpus.iter().filter_map(|row| row.cpu).collect();
            assert_eq!(cpus, online, "of {possible} possible CPUs");
        }
    }
    println!(
        "{possible} possible CPUs, {} online: a reading takes {:?} by the programs, {:?} by /proc/stat",
        online.len(),
        median(by_programs),
        median(by_file)
    );
}
