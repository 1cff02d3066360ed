//! What the processes used is what the CPUs did.

use std::{
    mem,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use collector::{
    bus::{Bus, every},
    collectors::ebpf::{
        Accountant, CpuStatsCollector, ProcessStatsCollector, SchedLatencyCollector,
    },
    metric::{CpuStats, CpuTimes, ProcessStats, Sample, SchedLatency},
    source::procfs::proc_stat,
};
use collector_tests::{Child, ProcTask, here_or_emulated};
use procfs::CurrentSI as _;

use crate::support::{Totals, cpu_times, load_and_record, look, processes, start, sum};

/// All context switches that the CPUs counted, between two reads of the kernel's counter.
struct Switches {
    kernel_before: u64,
    counted: u64,
    kernel_after: u64,
}

impl Switches {
    fn read(accountant: &Accountant) -> Self {
        let kernel_before = context_switches();
        let cpus = cpu_times(accountant);
        let kernel_after = context_switches();
        let of = |field: fn(&CpuTimes) -> Option<u64>| sum(&cpus, field);
        Self {
            kernel_before,
            counted: of(|cpu| cpu.voluntary_switches)
                + of(|cpu| cpu.involuntary_switches)
                + of(|cpu| cpu.idle_switches),
            kernel_after,
        }
    }
}

/// Switches to and from tasks that the kernel hides from eBPF programs: those
/// of the processes that `/proc` shows and we do not. There are none on a
/// kernel as it is published; some hosts of virtual machines hide their
/// agent in the guest.
fn hidden_switches(accountant: &Accountant) -> u64 {
    let shown = processes(accountant);
    let hidden = procfs::process::all_processes()
        .expect("they can be listed")
        .filter_map(Result::ok)
        .map(|process| process.pid as u32)
        .filter(|&pid| ProcTask::state(pid) != Some('Z') && shown.processes.get(pid).is_none())
        .filter_map(|pid| ProcTask::read(pid).ok());
    2 * hidden
        .map(|task| task.voluntary_switches + task.involuntary_switches)
        .sum::<u64>()
}

/// `ctxt` of `/proc/stat`.
fn context_switches() -> u64 {
    procfs::KernelStats::current().expect("it can be read").ctxt
}

/// Time that all CPUs have spent neither idle nor for others, by
/// `/proc/stat`, which cuts each CPU's to hundredths of a second.
fn busy_by_proc_stat(since: Instant) -> i128 {
    let text = std::fs::read("/proc/stat").expect("it can be read");
    let stat = proc_stat::parse(&text)
        .expect("it is well formed")
        .cpu_stats;
    let cpus = &stat.cpus;
    let away = sum(cpus, |cpu| cpu.idle_ns)
        + sum(cpus, |cpu| cpu.iowait_ns)
        + sum(cpus, |cpu| cpu.steal_ns);
    (since.elapsed().as_nanos() * cpus.len() as u128) as i128 - i128::from(away)
}

/// Processes that burn, that come and go, and that pass a CPU around, while
/// this lives.
struct MixedLoad {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<u64>>,
    _burning: Child,
}

impl MixedLoad {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let come_and_go = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    let child = Child::spawn(&mut Command::new("/bin/true")).expect("it starts");
                    child.wait().expect("it is a child");
                    count += 1;
                }
                count
            })
        };
        let (to_b, from_a) = std::sync::mpsc::sync_channel(0);
        let (to_a, from_b) = std::sync::mpsc::sync_channel(0);
        let a = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut count = 0;
                while !stop.load(Ordering::Relaxed)
                    && to_b.send(()).is_ok()
                    && from_b.recv().is_ok()
                {
                    // Else this alone would fill both CPUs.
                    thread::sleep(Duration::from_micros(50));
                    count += 1;
                }
                count
            })
        };
        let b = thread::spawn(move || {
            let mut count = 0;
            while from_a.recv().is_ok() && to_a.send(()).is_ok() {
                count += 1;
            }
            count
        });
        Self {
            stop,
            threads: vec![come_and_go, a, b],
            _burning: start("burn_for_ever"),
        }
    }

    fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in mem::take(&mut self.threads) {
            thread.join().expect("it does not panic");
        }
    }
}

impl Drop for MixedLoad {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The totals that two samples of one tick tell.
fn totals(processes: &Sample<ProcessStats>, cpus: &Sample<CpuStats>) -> Totals {
    let processes = processes.data.as_ref().expect("there is a reading");
    let total = &cpus.data.as_ref().expect("there is a reading").total;
    let alive = processes.processes.iter();
    let alive: u64 = alive.filter_map(|process| process.cpu_ns).sum();
    Totals {
        charged_ns: alive + processes.exited.cpu_ns.unwrap_or(0),
        busy_ns: total.busy_ns.expect("it is known"),
        unattributed_ns: total.unattributed_ns.expect("it is known"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn all_samples_of_a_tick_have_one_window_and_their_sums_agree() {
    let accountant = crate::load();
    let bus = Bus::builder()
        .collector(CpuStatsCollector::new(accountant.clone()))
        .collector(ProcessStatsCollector::new(accountant.clone()))
        .collector(SchedLatencyCollector::new(accountant))
        .build()
        .expect("it can be built");
    let options = every(Duration::from_millis(250));
    let mut of_cpus = bus.subscribe::<CpuStats>(options).expect("it is there");
    let mut processes = bus.subscribe::<ProcessStats>(options).expect("it is there");
    let mut latency = bus.subscribe::<SchedLatency>(options).expect("it is there");
    let load = MixedLoad::start();
    let mut ticks = Vec::new();
    let mut pairs = 0;
    for _ in 0..12 {
        let mut cpus = of_cpus.recv().await.expect("it goes on");
        let mut of_processes = processes.recv().await.expect("it goes on");
        let mut of_latency = latency.recv().await.expect("it goes on");
        // The subscriptions are made one after the other, and a new one gets its
        // first sample at once, so that any of them may be ahead at first.
        let newest = cpus
            .monotonic_ns
            .max(of_processes.monotonic_ns)
            .max(of_latency.monotonic_ns);
        while cpus.monotonic_ns < newest {
            cpus = of_cpus.recv().await.expect("it goes on");
        }
        while of_processes.monotonic_ns < newest {
            of_processes = processes.recv().await.expect("it goes on");
        }
        while of_latency.monotonic_ns < newest {
            of_latency = latency.recv().await.expect("it goes on");
        }
        if [of_processes.monotonic_ns, of_latency.monotonic_ns] != [cpus.monotonic_ns; 2] {
            continue;
        }
        pairs += 1;
        assert_eq!(of_processes.window, cpus.window);
        assert_eq!(of_latency.window, cpus.window);
        let total = &cpus.data.as_ref().expect("there is a reading").total;
        assert_eq!(total.wakeups, None, "they are not watched, and no zero");
        ticks.push(totals(&of_processes, &cpus));
    }
    load.stop();
    assert!(pairs >= 6, "only {pairs} samples are of one time");
    for pair in ticks.windows(2) {
        if let [before, after] = pair {
            before.assert_each_counted_once(after);
        }
    }
    if let (Some(first), Some(last)) = (ticks.first(), ticks.last()) {
        first.assert_each_counted_once(last);
    }
}

#[test]
fn over_a_minute_the_cpu_time_of_the_processes_is_the_busy_time_of_the_cpus() {
    let (accountant, recorder) = load_and_record();
    let load = MixedLoad::start();
    let began = Instant::now();
    thread::sleep(Duration::from_secs(1));
    let hidden_before = hidden_switches(&accountant);
    let switches_before = Switches::read(&accountant);
    let proc_before = busy_by_proc_stat(began);
    let (before, cpus_before) = look(&accountant);
    // A guest has twenty minutes for all its tests.
    let length = here_or_emulated(60, 20);
    for _ in 0..length {
        thread::sleep(Duration::from_secs(1));
        look(&accountant);
    }
    let proc_after = busy_by_proc_stat(began);
    let (after, cpus_after) = look(&accountant);
    let switches_after = Switches::read(&accountant);
    let hidden = hidden_switches(&accountant).saturating_sub(hidden_before);
    load.stop();

    Totals::assert_conserved(&before, &after);

    // An estimate by another way: /proc/stat counts interrupts on an idle CPU
    // as busy, and cuts its times.
    let busy = (after.busy_ns - before.busy_ns) as f64;
    let by_proc = (proc_after - proc_before) as f64;
    println!(
        "{by_proc} ns busy by /proc/stat ({:+.3} %)",
        (by_proc / busy - 1.0) * 100.0
    );
    assert!(
        (by_proc / busy - 1.0).abs() < 0.03,
        "{busy} ns, {by_proc} by /proc/stat"
    );

    // The kernel counts a switch, and some instructions later the program does
    // (`__schedule` in kernel/sched/core.c): on each CPU, one may be between.
    let between = cpus_after.len() as u64;
    let counted = switches_after.counted - switches_before.counted;
    let lowest = switches_after.kernel_before - switches_before.kernel_after;
    let highest = switches_after.kernel_after - switches_before.kernel_before;
    println!(
        "{counted} switches counted, from {lowest} to {highest} by /proc/stat, up to {hidden} hidden"
    );
    assert!(
        (lowest.saturating_sub(between + hidden)..=highest + between).contains(&counted),
        "{counted} switches, from {lowest} to {highest} by /proc/stat"
    );
    assert_eq!(cpus_before.len(), cpus_after.len());

    for exit in recorder.recorded().exits {
        let is_told = exit.exit_code.is_some() || exit.signal.is_some();
        assert!(is_told, "how it ended is not known: {exit:?}");
    }
}
