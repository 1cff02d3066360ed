//! The two backends, on the same processes at the same time.

use collector::{
    collectors::{
        Collector,
        ebpf::Accountant,
        procfs::{ProcfsCpuStats, ProcfsProcessStats},
    },
    metric::{Process, ProcessStats},
    source::{Sources, procfs::proc_pid},
};
use collector_tests::{Child, cpu_clock_step_ns, emulation_slack_ns, helper};

use crate::{load, support::cpu_times};

/// The resolution of times in `/proc`: a clock tick.
const TICK_NS: u64 = 10_000_000;

fn stopped_child(test: &str) -> Child {
    let child = Child::spawn(&mut helper(test).expect("this binary is known")).expect("it starts");
    std::thread::sleep(std::time::Duration::from_millis(700));
    child.signal(libc::SIGSTOP);
    std::thread::sleep(std::time::Duration::from_millis(300));
    child
}

fn both(accountant: &Accountant) -> (ProcessStats, ProcessStats) {
    let tick = Sources::live().tick();
    let ebpf = accountant.process_stats(&tick).expect("a reading is had");
    let procfs = ProcfsProcessStats::new()
        .collect(&tick)
        .expect("a reading is had");
    (ebpf, procfs)
}

#[test]
fn both_backends_have_the_same_comm_of_kernel_threads() {
    let accountant = load();
    let (ebpf, procfs) = both(&accountant);
    let mut workers = 0;
    for process in &procfs.processes {
        if process.kernel_thread != Some(true) {
            continue;
        }
        // Others come and go meanwhile.
        let other = ebpf.processes.get(process.pid);
        let Some(other) = other.filter(|other| same_start(other, &process)) else {
            continue;
        };
        assert_eq!(process.comm, other.comm);
        workers += u32::from(process.comm.starts_with("kworker/"));
    }
    assert!(workers > 0);
}

/// `/proc` has the start time in clock ticks.
fn same_start(ebpf: &Process, procfs: &Process) -> bool {
    ebpf.start_time_ns / TICK_NS == procfs.start_time_ns / TICK_NS
}

#[test]
fn both_backends_agree_on_a_child_within_a_tick() {
    let accountant = load();
    let child = stopped_child("helpers::burn_for_ever");
    let (ebpf, procfs) = both(&accountant);
    let of = |reading: &ProcessStats| -> Process {
        reading
            .processes
            .get(child.pid())
            .expect("it is shown")
            .into_owned()
    };
    let (ebpf, procfs) = (of(&ebpf), of(&procfs));
    child.signal(libc::SIGKILL);
    child.wait().expect("it is a child");

    let margin = TICK_NS + cpu_clock_step_ns();
    for (what, margin, ebpf, procfs) in [
        // Of a process with threads it is the sum of the other two, each of
        // which is told to a tick.
        ("cpu_ns", 2 * margin, ebpf.cpu_ns, procfs.cpu_ns),
        ("user_ns", margin, ebpf.user_ns, procfs.user_ns),
        ("system_ns", margin, ebpf.system_ns, procfs.system_ns),
    ] {
        let (ebpf, procfs) = (ebpf.expect(what), procfs.expect(what));
        assert!(
            ebpf.abs_diff(procfs) <= margin,
            "{what}: {ebpf} by eBPF, {procfs} by procfs"
        );
    }
    assert!(ebpf.start_time_ns.abs_diff(procfs.start_time_ns) < TICK_NS);
    assert_eq!(
        (
            ebpf.ppid,
            ebpf.uid,
            ebpf.threads,
            ebpf.state,
            ebpf.kernel_thread
        ),
        (
            procfs.ppid,
            procfs.uid,
            procfs.threads,
            procfs.state,
            procfs.kernel_thread
        )
    );
    assert_eq!((&ebpf.comm, &ebpf.cmdline), (&procfs.comm, &procfs.cmdline));
    assert_eq!(ebpf.cgroup, procfs.cgroup);
}

/// The `procfs` crate shares no code with the parsers of this project, and so is the
/// reference.
#[test]
fn both_backends_agree_with_the_procfs_crate_on_a_child() {
    let accountant = load();
    let child = stopped_child("helpers::burn_for_ever");
    let (ebpf, procfs) = both(&accountant);
    let read = procfs::process::Process::new(child.pid() as i32).expect("it is there");
    let stat = read.stat().expect("its stat can be read");
    let status = read.status().expect("its status can be read");
    let cmdline = read.cmdline().expect("its arguments can be read");
    let readings = [("eBPF", ebpf), ("procfs", procfs)].map(|(backend, reading)| {
        let row = reading.processes.get(child.pid()).expect("it is shown");
        (backend, row.into_owned())
    });
    child.signal(libc::SIGKILL);
    child.wait().expect("it is a child");

    let tick_ns = 1_000_000_000 / procfs::ticks_per_second();
    let margin = 2 * TICK_NS + cpu_clock_step_ns();
    for (backend, row) in readings {
        for (what, told, ticks) in [
            ("cpu_ns", row.cpu_ns, stat.utime + stat.stime),
            ("user_ns", row.user_ns, stat.utime),
            ("system_ns", row.system_ns, stat.stime),
        ] {
            let (told, read) = (told.expect(what), ticks * tick_ns);
            assert!(
                told.abs_diff(read) <= margin,
                "{what}: {told} by {backend}, {read} by the crate"
            );
        }
        let started = stat.starttime * tick_ns;
        assert!(
            row.start_time_ns.abs_diff(started) < TICK_NS,
            "{backend}: began at {}, by the crate at {started}",
            row.start_time_ns
        );
        assert_eq!(
            (row.ppid, row.uid, row.threads, &*row.comm),
            (
                Some(stat.ppid as u32),
                Some(status.euid),
                Some(stat.num_threads as u32),
                stat.comm.as_str()
            ),
            "{backend}"
        );
        assert_eq!(row.cmdline.as_deref(), Some(cmdline.join(" ").as_str()));
        assert_eq!(stat.state, 'T');
    }
}

#[test]
fn both_backends_show_the_same_processes() {
    let accountant = load();
    let (ebpf, procfs) = both(&accountant);
    // A process that starts or exits between the two readings is in one of them only.
    let is_there = |process: &Process| {
        let path = format!("/proc/{}/stat", process.pid);
        let stat = Sources::live().tick().read(&path).ok();
        let stat = stat.and_then(|text| proc_pid::parse_stat(&text).ok());
        stat.is_some_and(|stat| stat.start_time_ns.abs_diff(process.start_time_ns) < TICK_NS)
    };
    let mut missing: Vec<_> = procfs
        .processes
        .iter()
        // A host may keep its first process away from eBPF.
        .filter(|process| process.pid != 1 && ebpf.processes.get(process.pid).is_none())
        .collect();
    // A process that was started after the first reading is in the second, if it still
    // exists.
    missing.retain(|process| {
        let reading = accountant
            .process_stats(&Sources::live().tick())
            .expect("a reading is had");
        reading.processes.get(process.pid).is_none() && is_there(process)
    });
    assert!(missing.is_empty(), "not shown by eBPF: {missing:?}");
    let mut beyond: Vec<_> = ebpf.processes.iter().collect();
    // One that ends after the first look is in that, and not in the next.
    beyond.retain(|process| !is_there(process));
    let reading = accountant
        .process_stats(&Sources::live().tick())
        .expect("a reading is had");
    beyond.retain(|process| {
        let shown = reading.processes.get(process.pid);
        shown.is_some_and(|shown| shown.start_time_ns == process.start_time_ns)
    });
    assert!(beyond.is_empty(), "not in /proc: {beyond:?}");
}

#[test]
fn values_that_procfs_does_not_have_are_empty() {
    let tick = Sources::live().tick();
    let cpus = ProcfsCpuStats.collect(&tick).expect("a reading is had");
    assert_eq!(cpus.total.busy_ns, None);
    assert_eq!(cpus.total.voluntary_switches, None);
    let processes = ProcfsProcessStats::new()
        .collect(&tick)
        .expect("a reading is had");
    assert!(
        processes
            .processes
            .iter()
            .all(|process| process.blocked_ns.is_none()
                && process.interruptible_sleep_ns.is_none()
                && process.uninterruptible_sleep_ns.is_none())
    );
}

#[test]
fn the_busy_time_of_the_cpus_is_that_of_proc_stat() {
    let accountant = load();
    let look = || {
        let tick = Sources::live().tick();
        let proc = ProcfsCpuStats
            .collect(&tick)
            .expect("a reading is had")
            .total;
        let sum = |fields: &[Option<u64>]| fields.iter().flatten().sum::<u64>();
        let busy = sum(&[
            proc.user_ns,
            proc.nice_ns,
            proc.system_ns,
            proc.irq_ns,
            proc.softirq_ns,
        ]);
        let told = busy + sum(&[proc.idle_ns, proc.iowait_ns, proc.steal_ns]);
        let counted = cpu_times(&accountant);
        let switches: u64 = counted.iter().filter_map(|cpu| cpu.busy_ns).sum();
        let passed = std::time::Instant::now();
        (busy, switches, told, passed, counted.len() as u32)
    };
    let children: Vec<Child> = (0..2)
        .map(|_| {
            Child::spawn(&mut helper("helpers::burn_for_ever").expect("this binary is known"))
                .expect("it starts")
        })
        .collect();
    std::thread::sleep(std::time::Duration::from_secs(1));
    // /proc/stat is sampled at the timer tick, and counts interrupts and the
    // time of the idle task's own work apart. Time that the host of a guest
    // takes away is in neither or in one of the two: then another look is had.
    let mut agreed = false;
    for _ in 0..3 {
        let before = look();
        std::thread::sleep(std::time::Duration::from_secs(5));
        let after = look();
        let (proc, counted) = (after.0 - before.0, after.1 - before.1);
        // /proc/stat does not count the time of lost timer ticks.
        let passed = (after.3 - before.3) * after.4;
        let lost = (passed.as_nanos() as u64).saturating_sub(after.2 - before.2);
        println!("{proc} ns by /proc/stat, which misses {lost} ns; {counted} ns counted");
        let margin = (proc as f64 * 0.03) as u64 + lost;
        agreed = proc.abs_diff(counted) <= margin.max(4 * emulation_slack_ns());
        if agreed {
            break;
        }
    }
    for child in children {
        child.signal(libc::SIGKILL);
        child.wait().expect("it is a child");
    }
    assert!(agreed, "they did not agree in three looks");
}
