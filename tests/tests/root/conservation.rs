use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use collector::{
    metric::{CpuTimes, ProcessStats},
    source::{Sources, ebpf::Scheduler, procfs::proc_stat},
};
use collector_tests::{Child, EventRecorder, helper};

use crate::load;

/// What all processes used, alive and gone.
fn charged_ns(reading: &ProcessStats) -> u64 {
    let alive: u64 = reading
        .processes
        .iter()
        .filter_map(|process| process.cpu_ns)
        .sum();
    alive + reading.exited.cpu_ns.unwrap_or(0)
}

fn sum(cpus: &[CpuTimes], field: impl Fn(&CpuTimes) -> Option<u64>) -> u64 {
    cpus.iter().filter_map(field).sum()
}

fn look(scheduler: &Scheduler) -> (u64, Vec<CpuTimes>) {
    let look = scheduler
        .look(&Sources::live().tick())
        .expect("a reading is had");
    (charged_ns(&look.processes), look.cpus)
}

fn context_switches() -> u64 {
    let text = std::fs::read("/proc/stat").expect("it can be read");
    let stat = proc_stat::parse(&text).expect("it is well formed");
    stat.cpu_stats.total.context_switches.expect("it is there")
}

#[test]
fn what_the_processes_used_is_what_the_cpus_did() {
    let scheduler = load();
    let recorder = EventRecorder::default();
    scheduler.send_events_to(recorder.clone());
    // Processes that burn, that come and go, and that pass the CPU around.
    let stop = Arc::new(AtomicBool::new(false));
    let burning =
        Child::spawn(&mut helper("helpers::burn_for_ever").expect("this binary is known"))
            .expect("it starts");
    let churn = {
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
    thread::sleep(Duration::from_secs(1));
    let switches_before = context_switches();
    let (charged_before, cpus_before) = look(&scheduler);
    thread::sleep(Duration::from_secs(10));
    let (charged_after, cpus_after) = look(&scheduler);
    let switches_after = context_switches();
    stop.store(true, Ordering::Relaxed);
    let ended = churn.join().expect("it does not panic");
    burning.signal(libc::SIGKILL);
    burning.wait().expect("it is a child");

    for exit in recorder.recorded().exits {
        let is_told = exit.exit_code.is_some() || exit.signal.is_some();
        assert!(is_told, "how it ended is not known: {exit:?}");
    }

    let grown =
        |field: fn(&CpuTimes) -> Option<u64>| sum(&cpus_after, field) - sum(&cpus_before, field);
    let charged = charged_after - charged_before;
    let busy = grown(|cpu| cpu.busy_ns);
    let unattributed = grown(|cpu| cpu.unattributed_ns);
    let difference = charged.abs_diff(busy) as f64 / busy as f64;
    println!(
        "{ended} processes ended; {charged} ns charged, {busy} ns busy ({:.3} %), {unattributed} ns unattributed",
        difference * 100.0
    );
    assert!(
        difference < 0.005,
        "{charged} ns charged to processes, {busy} ns of the CPUs"
    );

    let counted = grown(|cpu| cpu.voluntary_switches)
        + grown(|cpu| cpu.involuntary_switches)
        + grown(|cpu| cpu.idle_switches);
    let shown = switches_after - switches_before;
    println!("{counted} switches counted, {shown} by /proc/stat");
    // The two are not looked at in the same moment.
    assert!(
        counted.abs_diff(shown) <= 200 + shown / 100,
        "{counted} switches, {shown} by /proc/stat"
    );
}
