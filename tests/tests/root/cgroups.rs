//! Usage and preemptions of cgroups, compared with the kernel's `cpu.stat`.

use std::{
    borrow::Cow,
    fs, io,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use collector::{
    collectors::{Collector as _, ebpf::Accountant, procfs::ProcfsProcessStats},
    metric::{Cgroup, CgroupKind, Preemption, PreemptionKind, Process, ProcessState, ProcessStats},
    source::{Sources, bpf::LoadOptions},
};
use collector_tests::{
    Child, TestCgroup, cpu_clock_ns, emulation_slack_ns, helper, schedstat, wait_until,
};

use crate::{load, support::stop};

fn read(accountant: &Accountant) -> ProcessStats {
    accountant
        .process_stats(&Sources::live().tick())
        .expect("a reading is had")
}

fn process(reading: &ProcessStats, pid: u32) -> Cow<'_, Process> {
    reading.processes.get(pid).expect("it is shown")
}

fn row(reading: &ProcessStats, cgroup: &TestCgroup) -> Option<Arc<Cgroup>> {
    let mut rows = reading.cgroups.iter();
    rows.find(|row| row.path.as_deref() == Some(cgroup.path()))
        .cloned()
}

fn kind(reading: &ProcessStats, kind: CgroupKind) -> Option<Arc<Cgroup>> {
    reading.cgroups.iter().find(|row| row.kind == kind).cloned()
}

fn version_2(name: &str) -> TestCgroup {
    TestCgroup::version_2(name).expect("root may make one")
}

/// A child of one thread that burns CPU on one CPU only, in this cgroup, and is
/// stopped.
fn stopped_burner(cgroup: &TestCgroup, cpu: usize) -> Child {
    let script = ["-c", "while :; do :; done"];
    let child = Child::spawn(Command::new("/bin/sh").args(script)).expect("it starts");
    stop(&child);
    pin(child.pid(), cpu).expect("root may");
    cgroup.take(child.pid()).expect("root may");
    child
}

fn pin(tid: u32, cpu: usize) -> io::Result<()> {
    // SAFETY: all zeros is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is one of this function.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: as above.
    let failed = unsafe { libc::sched_setaffinity(tid as i32, size_of_val(&set), &raw const set) };
    if failed == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The CPU that this thread is on now: one that it may have.
fn a_cpu() -> usize {
    // SAFETY: the call has no precondition.
    let cpu = unsafe { libc::sched_getcpu() };
    usize::try_from(cpu).expect("the kernel tells it")
}

fn end(children: impl IntoIterator<Item = Child>) {
    for child in children {
        child.signal(libc::SIGKILL);
        child.wait().expect("it is a child");
    }
}

/// How often a cgroup lost a CPU, to one other or to any.
fn lost(rows: &[Preemption], victim: u64, preemptor: Option<u64>) -> u64 {
    let of = |row: &&Preemption| {
        row.kind == PreemptionKind::Pair
            && row.victim_id == Some(victim)
            && preemptor.is_none_or(|id| row.preemptor_id == Some(id))
    };
    rows.iter().filter(of).map(|row| row.count).sum()
}

fn preemptions(accountant: &Accountant) -> Vec<Preemption> {
    accountant.read_details(&Sources::live().tick());
    accountant
        .sched_latency()
        .preemptions
        .expect("there are cgroups of version 2")
}

#[test]
fn two_cgroups_on_one_cpu_are_charged_as_by_the_kernel_and_preempt_each_other() {
    let accountant = load();
    let cgroups = [version_2("left"), version_2("right")];
    let cpu = a_cpu();
    let children = [0, 1].map(|at| stopped_burner(&cgroups[at], cpu));
    let look = || {
        let reading = read(&accountant);
        [0, 1].map(|at| {
            let row = row(&reading, &cgroups[at]).expect("it has a row");
            let pid = children[at].pid();
            assert_eq!(row.processes, 1);
            assert_eq!(row.id, Some(cgroups[at].id().expect("it is there")));
            let path = process(&reading, pid).cgroup.clone();
            assert_eq!(path.as_deref(), Some(cgroups[at].path()));
            let kernel = cgroups[at].cpu_ns().expect("the kernel keeps it");
            (row, kernel, schedstat(pid).expect("the kernel keeps it"))
        })
    };
    let before = look();
    let lost_before = preemptions(&accountant);
    for child in &children {
        child.signal(libc::SIGCONT);
    }
    thread::sleep(Duration::from_secs(3));
    let ids = [0, 1].map(|at| before[at].0.id.expect("it has one"));
    // On a busy host, tasks of other cgroups mostly run between the two.
    let began = Instant::now();
    let have_met = || {
        let now = preemptions(&accountant);
        [0, 1].into_iter().all(|at| {
            let to = Some(ids[1 - at]);
            lost(&now, ids[at], to) - lost(&lost_before, ids[at], to) > 10
        })
    };
    while !have_met() && began.elapsed() < Duration::from_mins(1) {
        thread::sleep(Duration::from_secs(1));
    }
    children.iter().for_each(stop);
    let after = look();
    let lost_after = preemptions(&accountant);

    for at in [0, 1] {
        let (row, kernel, [_, wait, _]) = &after[at];
        let (row_before, kernel_before, [_, wait_before, _]) = &before[at];
        let growth = |field: fn(&Cgroup) -> Option<u64>| {
            field(row).expect("it is known") - field(row_before).expect("it is known")
        };
        let charged = growth(|row| row.cpu_ns);
        let expected = kernel - kernel_before;
        println!("{charged} ns charged, {expected} ns by cpu.stat");
        assert!(expected > 100_000_000, "it has run: {expected}");
        let margin = (expected / 200).max(2_000_000);
        assert!(charged.abs_diff(expected) <= margin, "{charged} {expected}");

        let waited = growth(|row| row.runqueue_ns);
        let expected = wait - wait_before;
        assert!(
            waited.abs_diff(expected) <= expected / 50 + 200_000,
            "{waited} ns waited, {expected} ns by schedstat"
        );

        // Until it was stopped the task was always runnable, and it is the only one in its
        // cgroup: each switch was a preemption by a task of another cgroup.
        let involuntary = growth(|row| row.involuntary_switches);
        let growth = |to| lost(&lost_after, ids[at], to) - lost(&lost_before, ids[at], to);
        let to_any = growth(None);
        let to_neighbour = growth(Some(ids[1 - at]));
        println!(
            "{involuntary} involuntary switches, {to_any} to others, {to_neighbour} to its neighbour"
        );
        assert!(to_neighbour > 10, "{to_neighbour}");
        assert!(to_neighbour <= to_any && to_any <= involuntary);
        // But for a task that is preempted on its way to being stopped.
        assert!(involuntary - to_any <= 5, "{involuntary} {to_any}");
    }
    for row in &lost_after {
        for (id, path) in [
            (row.victim_id, &row.victim),
            (row.preemptor_id, &row.preemptor),
        ] {
            for (at, own) in ids.iter().enumerate() {
                if id == Some(*own) {
                    assert_eq!(path.as_deref(), Some(cgroups[at].path()));
                }
            }
        }
    }
    end(children);
}

#[test]
fn a_moved_process_shows_its_new_cgroup_and_leaves_its_usage_in_the_old_one() {
    let accountant = load();
    let (from, to) = (version_2("from"), version_2("to"));
    let child = stopped_burner(&from, a_cpu());
    child.signal(libc::SIGCONT);
    thread::sleep(Duration::from_millis(500));
    let reading = read(&accountant);
    assert_eq!(
        process(&reading, child.pid()).cgroup.as_deref(),
        Some(from.path())
    );
    to.take(child.pid()).expect("root may");
    thread::sleep(Duration::from_millis(500));
    let reading = read(&accountant);
    assert_eq!(
        process(&reading, child.pid()).cgroup.as_deref(),
        Some(to.path())
    );
    stop(&child);
    let reading = read(&accountant);
    for cgroup in [&from, &to] {
        let charged = row(&reading, cgroup).and_then(|row| row.cpu_ns);
        let charged = charged.expect("it is known");
        // What a process used before it was in the cgroup counts there if it
        // was not known before: this one was.
        let expected = cgroup.cpu_ns().expect("the kernel keeps it");
        // The kernel's count of a thread that runs is as old as the last timer
        // tick: 10 ms at the slowest.
        let margin = expected / 200 + 12_000_000 + emulation_slack_ns();
        println!("{}: {charged} ns, {expected} ns by cpu.stat", cgroup.path());
        assert!(charged.abs_diff(expected) <= margin, "{charged} {expected}");
    }
    let rows = [&from, &to].map(|cgroup| row(&reading, cgroup).map(|row| row.processes));
    assert_eq!(rows, [Some(0), Some(1)]);
    end([child]);
}

#[test]
fn a_child_is_in_the_cgroup_of_its_parent_and_exited_processes_count() {
    let accountant = load();
    let cgroup = version_2("family");
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("fifo");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).expect("it can be made");
    // It waits for the test without another child.
    let script = format!(
        "echo $$ > {}; (while :; do :; done) & read end < {}; kill $!; wait; exec sleep 600",
        cgroup.procs().display(),
        fifo.display()
    );
    let parent = Child::spawn(Command::new("/bin/sh").args(["-c", &script])).expect("it starts");
    wait_until("the loop runs", || {
        row(&read(&accountant), &cgroup).is_some_and(|row| row.processes == 2)
    });
    let reading = read(&accountant);
    let children: Vec<Cow<'_, Process>> = reading
        .processes
        .iter()
        .filter(|process| process.ppid == Some(parent.pid()))
        .collect();
    assert_eq!(children.len(), 1, "the loop runs: {children:?}");
    for process in children.iter().chain([&process(&reading, parent.pid())]) {
        assert_eq!(
            process.cgroup.as_deref(),
            Some(cgroup.path()),
            "{process:?}"
        );
    }
    let burning = children[0].pid;
    wait_until("it has used much more than its parent", || {
        cpu_clock_ns(burning).is_ok_and(|used| used >= 1_000_000_000)
    });
    fs::write(fifo, "end\n").expect("it is read");
    wait_until("the loop has ended", || {
        row(&read(&accountant), &cgroup).is_some_and(|row| row.processes == 1)
    });
    let reading = read(&accountant);
    let row = row(&reading, &cgroup).expect("it has a row");
    let alive = process(&reading, parent.pid()).cpu_ns.unwrap_or(0);
    let charged = row.cpu_ns.expect("it is known");
    let expected = cgroup.cpu_ns().expect("the kernel keeps it");
    println!("{charged} ns charged, {expected} ns by cpu.stat, {alive} ns of the living");
    assert!(charged > 2 * alive, "what ended counts: {charged} {alive}");
    let margin = expected / 200 + 30_000_000 + emulation_slack_ns();
    assert!(charged.abs_diff(expected) <= margin, "{charged} {expected}");
    end([parent]);
}

#[test]
fn the_usage_of_a_removed_cgroup_is_kept() {
    let accountant = Accountant::load(&LoadOptions {
        preemption_pairs: Some(2),
        ..LoadOptions::default()
    })
    .unwrap_or_else(|error| panic!("{error}"));
    let cgroups = ["one", "two", "three"].map(version_2);
    let cpu = a_cpu();
    let children = [0, 1, 2].map(|at| stopped_burner(&cgroups[at], cpu));
    for child in &children {
        child.signal(libc::SIGCONT);
    }
    thread::sleep(Duration::from_secs(2));
    let reading = read(&accountant);
    let used: u64 = cgroups
        .iter()
        .filter_map(|cgroup| row(&reading, cgroup)?.cpu_ns)
        .sum();
    assert!(used > 100_000_000, "{used}");
    let before = kind(&reading, CgroupKind::Removed).and_then(|row| row.cpu_ns);

    // Of three on one CPU there are six pairs, and room for two.
    let rows = preemptions(&accountant);
    let pairs = rows.iter().filter(|row| row.kind == PreemptionKind::Pair);
    assert_eq!(pairs.count(), 2, "{rows:?}");
    let total = |rows: &[Preemption]| rows.iter().map(|row| row.count).sum::<u64>();
    let other = rows.iter().find(|row| row.kind == PreemptionKind::Other);
    assert!(other.is_some_and(|row| row.count > 10), "{rows:?}");
    let counted = total(&rows);

    end(children);
    let paths = cgroups.each_ref().map(|cgroup| cgroup.path().to_owned());
    drop(cgroups);
    // Two passes over all tasks, one each ten seconds, must find it empty.
    let deadline = Instant::now() + Duration::from_mins(2);
    let reading = loop {
        let reading = read(&accountant);
        let is_there = |row: &Arc<Cgroup>| {
            row.path
                .as_deref()
                .is_some_and(|path| paths.iter().any(|removed| removed == path))
        };
        if !reading.cgroups.iter().any(is_there) {
            break reading;
        }
        assert!(Instant::now() < deadline, "they keep their rows");
        thread::sleep(Duration::from_millis(500));
    };
    let removed = kind(&reading, CgroupKind::Removed).and_then(|row| row.cpu_ns);
    let removed = removed.expect("there is such a row") - before.unwrap_or(0);
    assert!(removed >= used, "{removed} {used}");
    let rows = preemptions(&accountant);
    assert!(total(&rows) >= counted, "{rows:?} and {counted} before");
}

#[test]
fn the_sum_of_the_cgroups_is_the_sum_of_running_and_exited_processes() {
    let accountant = load();
    for _ in 0..5 {
        for _ in 0..50 {
            let child = Child::spawn(&mut Command::new("/bin/true")).expect("it starts");
            child.wait().expect("it is a child");
        }
        let reading = read(&accountant);
        let sum = |field: fn(&Cgroup) -> Option<u64>| {
            reading
                .cgroups
                .iter()
                .filter_map(|row| field(row))
                .sum::<u64>()
        };
        let all = |of: fn(&Process) -> Option<u64>, exited: Option<u64>| {
            let alive = reading.processes.iter();
            alive.filter_map(|row| of(&row)).sum::<u64>() + exited.unwrap_or(0)
        };
        let exited = &reading.exited;
        let cpu = sum(|row| row.cpu_ns);
        let expected = all(|process| process.cpu_ns, exited.cpu_ns);
        // What was published of time in flight and was too much stays shown.
        assert!(
            cpu.abs_diff(expected) <= expected / 1_000,
            "{cpu} {expected}"
        );
        let switches = sum(|row| row.voluntary_switches);
        let expected = all(
            |process| process.voluntary_switches,
            exited.voluntary_switches,
        );
        assert_eq!(switches, expected);
        let processes: u64 = reading.cgroups.iter().map(|row| row.processes).sum();
        let is_zombie =
            |row: &Process| row.state == Some(ProcessState::Zombie) && row.threads == Some(1);
        let alive = reading.processes.iter().filter(|row| !is_zombie(row));
        assert_eq!(processes, alive.count() as u64);
        let sleep = sum(|row| row.interruptible_sleep_ns);
        let expected = all(
            |process| process.interruptible_sleep_ns,
            exited.interruptible_sleep_ns,
        );
        assert!(
            sleep.abs_diff(expected) <= expected / 1_000,
            "{sleep} {expected}"
        );
        assert!(
            reading
                .cgroups
                .iter()
                .any(|row| row.kind == CgroupKind::Cgroup)
        );
    }
}

#[test]
fn a_move_in_a_v1_hierarchy_is_seen() {
    let Some(cgroup) = TestCgroup::version_1("cpu", "v1").expect("root may make one") else {
        println!("this host has no hierarchy of version 1");
        return;
    };
    let accountant = load();
    let child = Child::spawn(&mut helper("helpers::burn_for_ever").expect("this binary is known"))
        .expect("it starts");
    thread::sleep(Duration::from_millis(300));
    let reading = read(&accountant);
    let before = process(&reading, child.pid()).cgroup.clone();
    assert_ne!(before.as_deref(), Some(cgroup.path()));
    cgroup.take(child.pid()).expect("root may");
    thread::sleep(Duration::from_millis(500));
    let reading = read(&accountant);
    let row = row(&reading, &cgroup).expect("it has a row");
    assert_eq!(
        process(&reading, child.pid()).cgroup.as_deref(),
        Some(cgroup.path())
    );
    // The number of version 2 is not that of this cgroup.
    assert_eq!((row.processes, row.id), (1, None));
    // In which cgroup it is was known from the last reading on.
    thread::sleep(Duration::from_millis(500));
    let charged = self::row(&read(&accountant), &cgroup).and_then(|row| row.cpu_ns);
    assert!(charged > row.cpu_ns, "{charged:?} after {row:?}");
    end([child]);
}

#[test]
fn a_v1_container_is_not_charged_to_the_daemon_in_its_v2_cgroup() {
    let name = format!("{}.scope", "0123456789abcdef".repeat(4));
    let Some(container) = TestCgroup::version_1("cpu", &name).expect("root may make one") else {
        println!("this host has no hierarchy of version 1");
        return;
    };
    let daemon = version_2("daemon");
    let accountant = load();
    let spawn = || {
        Child::spawn(&mut helper("helpers::burn_for_ever").expect("this binary is known"))
            .expect("it starts")
    };
    let (first, second) = (spawn(), spawn());
    for child in [&first, &second] {
        daemon.take(child.pid()).expect("root may");
    }
    container.take(second.pid()).expect("root may");
    let deadline = Instant::now() + Duration::from_mins(1);
    let paths = [daemon.path(), container.path()].map(Some);
    let reading = loop {
        let reading = read(&accountant);
        let of = |child: &Child| process(&reading, child.pid()).cgroup.clone();
        let found = [of(&first), of(&second)];
        if [found[0].as_deref(), found[1].as_deref()] == paths {
            break reading;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        thread::sleep(Duration::from_millis(50));
    };
    let told = process(&reading, second.pid()).container.clone();
    let told = told.and_then(|container| container.container_id.clone());
    assert_eq!(told, Some("0123456789abcdef".repeat(4).into()));
    let before = row(&reading, &container).expect("it has a row");
    assert_eq!((before.processes, before.id), (1, None));
    let charged = row(&reading, &daemon).expect("it has a row");
    assert_eq!(charged.processes, 1);
    assert_eq!(charged.id, Some(daemon.id().expect("it is there")));
    // What it uses from then on is the container's.
    loop {
        let now = row(&read(&accountant), &container).expect("it has a row");
        if now.cpu_ns > before.cpu_ns {
            break;
        }
        assert!(Instant::now() < deadline, "{now:?} after {before:?}");
        thread::sleep(Duration::from_millis(50));
    }
    let procfs = ProcfsProcessStats::new()
        .collect(&Sources::live().tick())
        .expect("a reading is had");
    for child in [&first, &second] {
        assert_eq!(
            process(&procfs, child.pid()).cgroup,
            process(&reading, child.pid()).cgroup
        );
    }
    end([first, second]);
}

#[test]
fn without_the_kernel_fields_only_paths_of_cgroups_are_known() {
    let accountant = Accountant::load(&LoadOptions {
        pretend_missing: vec!["kernfs_node.id".to_owned()],
        ..LoadOptions::default()
    })
    .unwrap_or_else(|error| panic!("{error}"));
    let reading = read(&accountant);
    assert!(reading.cgroups.iter().all(|row| row.id.is_none()));
    // At each reading some hundreds of processes are looked up.
    let deadline = Instant::now() + Duration::from_mins(2);
    while process(&read(&accountant), std::process::id())
        .cgroup
        .is_none()
    {
        assert!(Instant::now() < deadline, "/proc tells it");
    }
    assert_eq!(accountant.sched_latency().preemptions, None);
}
