//! CPUs that go offline and online under load.

use std::{fs, process::Command, thread, time::Duration};

use collector::collectors::ebpf::CpuStatsCollector;
use collector_tests::{Child, ProcTask, cpu_clock_ns, is_guest};

use crate::cpu_times::{bracketed, cpu_list};
use crate::support::{Totals, load, load_and_record, look, process, processes, start, stop};

/// A CPU, which is given back when this is dropped.
struct Cpu(&'static str);

impl Cpu {
    fn set(&self, is_online: bool) {
        fs::write(self.0, if is_online { "1" } else { "0" }).expect("a guest's CPU may be taken");
    }
}

impl Drop for Cpu {
    fn drop(&mut self) {
        let _it_may_be_there_still = fs::write(self.0, "1");
    }
}

/// Only a guest with more possible CPUs than it has switched on has such a CPU:
/// `cargo xtask test-vm --possible-cpus 256`.
#[test]
fn a_cpu_that_comes_online_for_the_first_time_is_read() {
    let online = cpu_list("online");
    let new = cpu_list("present")
        .into_iter()
        .rfind(|cpu| !online.contains(cpu));
    let Some(new) = new.filter(|_| is_guest()) else {
        println!("skipped: only a virtual machine's CPU is switched on");
        return;
    };
    let accountant = load();
    assert!(accountant.has_cpu_stats(), "{:?}", accountant.report());
    let mut collector = CpuStatsCollector::new(accountant);
    // It stays: a CPU that was there before and is not when the programs are
    // loaded would keep them from reading the CPUs in the tests that follow.
    fs::write(format!("/sys/devices/system/cpu/cpu{new}/online"), "1").expect("it may be");
    let mut looks = bracketed(&mut collector);
    for _ in 0..100 {
        if looks[1].cpus.iter().any(|row| row.cpu == Some(new)) {
            break;
        }
        thread::sleep(Duration::from_millis(20));
        looks = bracketed(&mut collector);
    }
    let [_before, read, _after] = &looks;
    let rows: Vec<u32> = read.cpus.iter().filter_map(|row| row.cpu).collect();
    assert_eq!(rows, cpu_list("online"));
    let [before, read, after] = looks.map(|stats| stats.total.context_switches);
    assert!(
        before <= read && read <= after,
        "{read:?} switches, in /proc/stat {before:?} and then {after:?}"
    );
}

#[test]
fn a_cpu_that_was_never_online_is_not_charged() {
    if !is_guest() {
        println!("skipped: only a virtual machine's CPU is taken away");
        return;
    }
    let cpu = Cpu("/sys/devices/system/cpu/cpu1/online");
    cpu.set(false);
    let accountant = load();
    let (before, _cpus) = look(&accountant);
    thread::sleep(Duration::from_secs(1));
    let (after, cpus) = look(&accountant);
    Totals::assert_conserved(&before, &after);
    assert!(cpus.iter().all(|row| row.cpu != Some(1)), "{cpus:?}");
}

#[test]
fn no_time_is_lost_when_a_cpu_goes_offline_and_online() {
    if !is_guest() {
        println!("skipped: only a virtual machine's CPU is taken away");
        return;
    }
    let (accountant, recorder) = load_and_record();
    let burning: Vec<Child> = (0..3).map(|_| start("burn_for_ever")).collect();
    thread::sleep(Duration::from_millis(500));
    let cpu = Cpu("/sys/devices/system/cpu/cpu1/online");
    let (before, _cpus) = look(&accountant);
    for _ in 0..3 {
        cpu.set(false);
        let short = Child::spawn(&mut Command::new("/bin/true")).expect("it starts");
        thread::sleep(Duration::from_millis(300));
        look(&accountant);
        cpu.set(true);
        thread::sleep(Duration::from_millis(300));
        let who = short.identity().expect("nobody has waited for it");
        short.wait().expect("it is a child");
        let told = recorder.wait_for_exits(&[who]).of(&who);
        assert_eq!(told.exits.len(), 1, "its end is told");
    }
    cpu.set(false);
    burning.iter().for_each(stop);
    let (after, _cpus) = look(&accountant);
    Totals::assert_conserved(&before, &after);
    for child in &burning {
        let shown = process(&accountant, child.pid());
        let proc = ProcTask::read(child.pid()).expect("it is there");
        assert_eq!(shown.cpu_ns, cpu_clock_ns(child.pid()).ok());
        assert_eq!(shown.voluntary_switches, Some(proc.voluntary_switches));
        assert_eq!(shown.involuntary_switches, Some(proc.involuntary_switches));
    }
    cpu.set(true);
    // The kernel's threads of that CPU were parked, and are the same.
    let reading = processes(&accountant);
    for name in ["migration/1", "ksoftirqd/1"] {
        let mut rows = reading.processes.iter().filter(|row| &*row.comm == name);
        let row = rows.next().unwrap_or_else(|| panic!("{name} is not shown"));
        assert!(rows.next().is_none(), "{name} is there once");
        // None had a CPU while there was none.
        let by_proc = ProcTask::read(row.pid).expect("it is there").cpu_ns;
        let cpu_ns = row.cpu_ns.expect("it is known");
        assert!(
            cpu_ns <= by_proc + 100_000_000,
            "{cpu_ns} ns, {by_proc} by schedstat"
        );
    }
}
