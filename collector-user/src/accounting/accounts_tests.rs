use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use collector_ebpf::{
    EventHeader, GROUP_DEAD, KERNEL_THREAD, NO_SLOT, ON_CPU_WHEN_FOUND, THREAD_LIVE, TaskEntry,
    ThreadEndEvent,
};

use super::*;
use crate::{
    metric::{ProcessEvent, ProcessState},
    source::CgroupMounts,
};

const ALL: AvailableFields = AvailableFields::ALL;

fn accounts() -> Accounts {
    Accounts::new(64, ALL, 4096, cgroups())
}

fn cgroups() -> Cgroups {
    Cgroups::new(CgroupMounts::without_mounts(false))
}

fn thread(tid: u32, tgid: u32, cpu_ns: u64) -> Thread {
    Thread {
        tid,
        tgid,
        process_start_ns: 5,
        state: THREAD_LIVE,
        cpu_ns,
        ..Thread::default()
    }
}

fn ended(thread: Thread) -> Thread {
    Thread {
        state: THREAD_DEAD,
        ..thread
    }
}

fn last_of_its_process(thread: Thread, exit_code: u32) -> Thread {
    Thread {
        state: THREAD_DEAD,
        flags: GROUP_DEAD,
        exit_code,
        ..thread
    }
}

fn clock(monotonic_ns: u64) -> ClockReading {
    ClockReading {
        monotonic_ns,
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
        suspended_ns: 70,
    }
}

fn process(accounts: &mut Accounts, events: Vec<LifecycleEvent>) -> (Vec<ProcessEvent>, Vec<u32>) {
    process_at(accounts, events, 0, 1_000)
}

fn process_at(
    accounts: &mut Accounts,
    events: Vec<LifecycleEvent>,
    ends_dropped: u64,
    now_ns: u64,
) -> (Vec<ProcessEvent>, Vec<u32>) {
    let mut freed = Vec::new();
    let events = accounts.process_events(events, &[], ends_dropped, &clock(now_ns), &mut freed);
    // Their parents reap them at once.
    accounts.reap(0, |_pid| false);
    (events, freed)
}

fn fork(pid: u32, ppid: u32, time_ns: u64) -> LifecycleEvent {
    LifecycleEvent::Fork(collector_ebpf::ForkEvent {
        header: EventHeader {
            kind: collector_ebpf::EVENT_FORK,
            pid,
            time_ns,
            process_start_ns: 5,
        },
        ppid,
        uid: 1000,
        comm: *b"child\0\0\0\0\0\0\0\0\0\0\0",
        ..collector_ebpf::ForkEvent::default()
    })
}

fn thread_end(index: u32, pid: u32, time_ns: u64) -> LifecycleEvent {
    LifecycleEvent::ThreadEnd(ThreadEndEvent {
        header: EventHeader {
            kind: collector_ebpf::EVENT_THREAD_END,
            pid,
            time_ns,
            process_start_ns: 5,
        },
        slot: index,
        tid: pid,
    })
}

/// As [`process`], with a thread that is on a CPU meanwhile.
fn process_beside(accounts: &mut Accounts, running: RunningThread, events: Vec<LifecycleEvent>) {
    accounts.process_events(events, &[running], 0, &clock(1_000), &mut Vec::new());
}

/// The request for the only process of which something is to be read.
fn next_request(accounts: &mut Accounts) -> Option<DetailsRequest> {
    accounts.take_requests(&mut HashSet::new()).pop()
}

#[test]
fn a_process_is_the_sum_of_its_threads() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 100));
    accounts.update(1, &thread(11, 10, 50));
    accounts.update(1, &thread(11, 10, 70));
    let reading = accounts.reading(0, &[]);
    assert_eq!(reading.processes.len(), 1);
    assert_eq!(reading.processes.at(0).cpu_ns, Some(170));
    assert_eq!(reading.processes.at(0).threads, Some(2));
}

#[test]
fn time_in_flight_is_shown_and_a_total_never_shrinks() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 100));
    let shown = |accounts: &mut Accounts, now, running: &[RunningThread]| {
        accounts.reading(now, running).processes.at(0).cpu_ns
    };
    let running = RunningThread {
        slot: 0,
        since_ns: 600,
        cpu_ns: 100,
    };
    assert_eq!(shown(&mut accounts, 1_000, &[running]), Some(500));
    // The kernel charged less than the clock said: time was stolen.
    accounts.update(0, &thread(10, 10, 450));
    assert_eq!(
        shown(&mut accounts, 1_100, &[running]),
        Some(500),
        "it has been charged"
    );
    accounts.update(0, &thread(10, 10, 700));
    assert_eq!(shown(&mut accounts, 1_200, &[]), Some(700));
}

#[test]
fn a_wait_in_flight_is_shown_until_it_ends() {
    let mut accounts = accounts();
    let waiting = Thread {
        left_at_ns: 900,
        runqueue_ns: 40,
        ..thread(10, 10, 1)
    };
    accounts.update(0, &waiting);
    assert_eq!(
        accounts.reading(1_000, &[]).processes.at(0).runqueue_ns,
        Some(140)
    );
    let mut again = Vec::new();
    accounts.take_waiting(&mut again);
    assert_eq!(again, [0], "it is to be read again");
    accounts.update(
        0,
        &Thread {
            runqueue_ns: 190,
            ..thread(10, 10, 1)
        },
    );
    assert_eq!(
        accounts.reading(1_100, &[]).processes.at(0).runqueue_ns,
        Some(190)
    );
}

#[test]
fn a_running_thread_does_not_wait_although_its_record_says_so() {
    let mut accounts = accounts();
    let preempted = Thread {
        left_at_ns: 900,
        runqueue_ns: 40,
        ..thread(10, 10, 100)
    };
    let running = RunningThread {
        slot: 0,
        since_ns: 950,
        cpu_ns: 100,
    };
    accounts.update(0, &preempted);
    let row = accounts.reading(1_000, &[running]).processes.at(0);
    assert_eq!((row.cpu_ns, row.runqueue_ns), (Some(150), Some(40)));
    assert_eq!(row.state, Some(ProcessState::Running));
    // It was on a CPU when its record was assigned: the time of its switch-out
    // is unknown.
    let unseen = Thread {
        left_at_ns: ON_CPU_WHEN_FOUND,
        ..thread(11, 11, 100)
    };
    accounts.update(1, &unseen);
    let row = accounts.reading(1_000, &[]).processes.at(1);
    assert_eq!(row.runqueue_ns, Some(0));
}

#[test]
fn the_usage_of_a_process_goes_to_exited_when_its_last_thread_exits() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 100));
    accounts.update(1, &thread(11, 10, 50));
    // The thread-group leader exits first: the process continues.
    accounts.update(0, &ended(thread(10, 10, 120)));
    let (events, freed) = process(&mut accounts, vec![thread_end(0, 10, 800)]);
    assert_eq!((events.len(), freed), (0, vec![0]));
    assert_eq!(accounts.reading(0, &[]).processes.at(0).cpu_ns, Some(170));

    let last = Thread {
        left_at_ns: 900,
        ..thread(11, 10, 60)
    };
    accounts.update(1, &last_of_its_process(last, 3 << 8));
    let (events, freed) = process(&mut accounts, vec![thread_end(1, 10, 900)]);
    assert_eq!(freed, [1]);
    let [ProcessEvent::Exit(exit)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (exit.pid, exit.cpu_ns, exit.exit_code, exit.signal),
        (10, Some(180), Some(3), None)
    );
    assert_eq!(exit.time, clock(1_000).wall - Duration::from_nanos(100));
    // The machine was suspended for 70 ns; it began at 5.
    assert_eq!((exit.end_time_ns, exit.lifetime_ns), (Some(970), Some(965)));
    let reading = accounts.reading(0, &[]);
    assert!(reading.processes.is_empty());
    assert_eq!(reading.exited.processes, Some(1));
    assert_eq!(reading.exited.cpu_ns, Some(180));
}

#[test]
fn a_zombie_keeps_its_row_until_it_is_reaped() {
    let mut accounts = accounts();
    accounts.update(0, &last_of_its_process(thread(10, 10, 100), 0));
    let records = vec![fork(10, 1, 400), thread_end(0, 10, 900)];
    let mut freed = Vec::new();
    let events = accounts.process_events(records, &[], 0, &clock(1_000), &mut freed);
    assert_eq!((events.len(), freed), (2, vec![0]), "its exit is published");
    accounts.reap(1, |_pid| true);
    for now_ns in [1_000, 2_000] {
        let reading = accounts.reading(now_ns, &[]);
        let row = reading.processes.at(0);
        assert_eq!(row.state, Some(ProcessState::Zombie));
        assert_eq!((row.ppid, row.threads), (Some(1), Some(1)));
        assert_eq!((row.cpu_ns, row.rss_bytes), (Some(100), Some(0)));
        assert_eq!(reading.exited.cpu_ns, Some(0), "it is in one of the two");
        assert_eq!(reading.cgroups[0].cpu_ns, Some(100));
        assert_eq!(reading.cgroups[0].processes, 0, "it is in no cgroup");
        accounts.reap(1, |_pid| true);
    }
    accounts.reap(1, |_pid| false);
    let reading = accounts.reading(3_000, &[]);
    assert!(reading.processes.is_empty());
    assert_eq!(reading.exited.processes, Some(1));
    assert_eq!(reading.exited.cpu_ns, Some(100));
    assert_eq!(reading.cgroups[0].cpu_ns, Some(100));
}

#[test]
fn a_zombie_whose_pid_is_reused_is_removed() {
    let mut accounts = accounts();
    accounts.update(0, &last_of_its_process(thread(10, 10, 100), 0));
    let mut freed = Vec::new();
    let end = vec![thread_end(0, 10, 900)];
    accounts.process_events(end, &[], 0, &clock(1_000), &mut freed);
    accounts.reap(1, |_pid| true);
    let next = Thread {
        process_start_ns: 950,
        ..thread(10, 10, 7)
    };
    accounts.update(1, &next);
    accounts.reap(1, |_pid| true);
    let reading = accounts.reading(2_000, &[]);
    assert_eq!(reading.processes.len(), 1);
    assert_eq!(reading.processes.at(0).cpu_ns, Some(7));
    assert_eq!(reading.exited.cpu_ns, Some(100));
}

#[test]
fn existing_zombies_are_shown_and_an_exited_leader_is_no_zombie() {
    let mut accounts = accounts();
    let ended = |tid, is_group_dead| TaskEntry {
        tid,
        tgid: tid,
        ppid: 1,
        process_start_ns: 5,
        slot: NO_SLOT,
        exit_state: 0x20,
        is_group_dead,
        ended_cpu_ns: 40,
        ..TaskEntry::default()
    };
    accounts.begin_pass(true);
    // A zombie; a leader that has exited before other threads; and one whose
    // last thread is at its last switch-out.
    accounts.visit(&ended(10, 1), true);
    accounts.visit(&ended(20, 0), true);
    accounts.visit(&ended(30, 1), true);
    accounts.update(1, &thread(31, 30, 100));
    accounts.visit(
        &TaskEntry {
            slot: 1,
            tid: 31,
            exit_state: 0,
            ..ended(30, 1)
        },
        true,
    );
    accounts.end_pass(SystemTime::UNIX_EPOCH, &mut Vec::new(), &mut Vec::new());
    let reading = accounts.reading(1_000, &[]);
    let rows: Vec<_> = reading
        .processes
        .iter()
        .map(|row| (row.pid, row.state))
        .collect();
    assert_eq!(rows[0], (10, Some(ProcessState::Zombie)));
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(reading.processes.at(0).cpu_ns, Some(40));
    assert_eq!(reading.processes.at(0).ppid, Some(1));
    // Passes that do not visit it find that it was reaped.
    for _ in 0..2 {
        accounts.begin_pass(true);
        accounts.visit(
            &TaskEntry {
                slot: 1,
                tid: 31,
                exit_state: 0,
                ..ended(30, 1)
            },
            false,
        );
        accounts.end_pass(SystemTime::UNIX_EPOCH, &mut Vec::new(), &mut Vec::new());
    }
    let reading = accounts.reading(2_000, &[]);
    assert!(reading.processes.get(10).is_none());
    assert_eq!(reading.exited.cpu_ns, Some(40));
}

#[test]
fn cpu_time_before_a_late_record_is_not_counted_twice() {
    let mut accounts = accounts();
    accounts.begin_pass(false);
    let entry = TaskEntry {
        tid: 10,
        tgid: 10,
        process_start_ns: 5,
        is_new: 1,
        cpu_ns_when_found: 1_900,
        ..TaskEntry::default()
    };
    accounts.insert_late(&entry);
    accounts.update(0, &thread(10, 10, 1_950));
    accounts.visit(&entry, false);
    accounts.end_pass(SystemTime::UNIX_EPOCH, &mut Vec::new(), &mut Vec::new());
    accounts.update(0, &thread(10, 10, 2_000));
    let row = accounts.reading(1_000, &[]).processes.at(0);
    assert_eq!((row.cpu_ns, row.threads), (Some(100), Some(1)));
}

/// A thread that has been asleep since a time, and its sleep before.
fn sleeper(tid: u32, state: u32, since_ns: u64, slept_ns: [u64; 2]) -> Thread {
    Thread {
        task_state: state,
        left_at_ns: since_ns,
        interruptible_ns: slept_ns[0],
        uninterruptible_ns: slept_ns[1],
        ..thread(tid, 10, 100)
    }
}

/// The two kinds of sleep of process 10, after checking their sum.
fn shown_sleep(accounts: &mut Accounts, now_ns: u64, running: &[RunningThread]) -> [u64; 2] {
    let reading = accounts.reading(now_ns, running);
    let row = reading.processes.get(10).expect("it is shown");
    let kinds = [row.interruptible_sleep_ns, row.uninterruptible_sleep_ns].map(Option::unwrap);
    assert_eq!(row.blocked_ns, Some(kinds[0] + kinds[1]));
    let cgroup = &reading.cgroups[0];
    let kinds_there = [
        cgroup.interruptible_sleep_ns,
        cgroup.uninterruptible_sleep_ns,
    ];
    assert_eq!(kinds_there.map(Option::unwrap), kinds, "in its cgroup");
    kinds
}

#[test]
fn sleep_in_flight_is_shown_at_every_reading_without_building_the_row() {
    let mut accounts = accounts();
    accounts.update(0, &sleeper(10, 1, 100, [1_000, 10]));
    accounts.update(1, &sleeper(11, 2, 200, [0, 5]));
    assert_eq!(shown_sleep(&mut accounts, 300, &[]), [1_200, 115]);
    let made = accounts.processes.rows_built();
    assert_eq!(shown_sleep(&mut accounts, 400, &[]), [1_300, 215]);
    assert_eq!(shown_sleep(&mut accounts, 900, &[]), [1_800, 715]);
    assert_eq!(accounts.processes.rows_built(), made);
    // The first was woken at 850, waited, and was switched out to sleep at 950.
    accounts.update(0, &sleeper(10, 1, 950, [1_750, 10]));
    assert_eq!(
        shown_sleep(&mut accounts, 960, &[]),
        [1_800, 775],
        "never less"
    );
    assert_eq!(shown_sleep(&mut accounts, 1_000, &[]), [1_840, 815]);
    // Again, and the sleep that was published too high is compensated.
    accounts.update(0, &sleeper(10, 1, 1_100, [1_900, 10]));
    assert_eq!(shown_sleep(&mut accounts, 1_200, &[]), [2_000, 1_015]);
    // It is preempted, and its process exits.
    accounts.update(0, &sleeper(10, 0, 1_300, [2_050, 10]));
    accounts.update(1, &ended(sleeper(11, 2, 1_350, [0, 1_155])));
    process(&mut accounts, vec![thread_end(1, 10, 1_350)]);
    assert_eq!(shown_sleep(&mut accounts, 1_400, &[]), [2_050, 1_165]);
    assert_eq!(shown_sleep(&mut accounts, 1_500, &[]), [2_050, 1_165]);
    accounts.update(
        0,
        &last_of_its_process(sleeper(10, 0x80, 1_600, [2_050, 10]), 0),
    );
    let (events, _freed) = process(&mut accounts, vec![thread_end(0, 10, 1_600)]);
    let [ProcessEvent::Exit(exit)] = &events[..] else {
        panic!("{events:?}")
    };
    let exited = accounts.reading(2_000, &[]).exited;
    assert_eq!(exited.interruptible_sleep_ns, Some(2_050));
    assert_eq!(exited.uninterruptible_sleep_ns, Some(1_165));
    assert_eq!(exited.blocked_ns, Some(3_215));
    assert_eq!(exit.blocked_ns, exited.blocked_ns);
}

#[test]
fn a_running_thread_is_not_asleep() {
    let mut accounts = accounts();
    accounts.update(0, &sleeper(10, 1, 100, [0, 0]));
    assert_eq!(shown_sleep(&mut accounts, 300, &[]), [200, 0]);
    let running = RunningThread {
        slot: 0,
        since_ns: 450,
        cpu_ns: 100,
    };
    // It was woken at 400; the kernel reports the wait.
    accounts.update(0, &sleeper(10, 1, 100, [300, 0]));
    assert_eq!(shown_sleep(&mut accounts, 500, &[running]), [300, 0]);
    assert_eq!(shown_sleep(&mut accounts, 600, &[running]), [300, 0]);
    accounts.update(
        0,
        &Thread {
            cpu_ns: 250,
            ..sleeper(10, 2, 600, [300, 0])
        },
    );
    assert_eq!(shown_sleep(&mut accounts, 700, &[running]), [300, 100]);
}

#[test]
fn a_reassigned_record_starts_from_zero() {
    let mut accounts = accounts();
    accounts.update(0, &last_of_its_process(thread(10, 10, 100), 0));
    // Read twice before its exit is processed: it counts once.
    accounts.update(0, &last_of_its_process(thread(10, 10, 100), 0));
    process(&mut accounts, vec![thread_end(0, 10, 900)]);
    accounts.update(0, &thread(12, 12, 30));
    let reading = accounts.reading(0, &[]);
    assert_eq!(reading.exited.cpu_ns, Some(100));
    assert_eq!(reading.processes.at(0).cpu_ns, Some(30));
}

#[test]
fn an_exit_whose_event_was_dropped_is_found() {
    let mut accounts = accounts();
    accounts.update(0, &last_of_its_process(thread(10, 10, 100), 9));
    let (events, freed) = process_at(&mut accounts, Vec::new(), 1, 1_000);
    assert!(
        events.is_empty() && freed.is_empty(),
        "its event may be on its way"
    );
    let (events, freed) = process_at(&mut accounts, Vec::new(), 1, 1_000);
    let [ProcessEvent::Exit(exit)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((exit.exit_code, exit.signal), (None, Some(9)));
    assert_eq!(freed, [0]);
    assert_eq!(accounts.ends_without_event(), 1);
}

#[test]
fn an_exit_whose_event_is_delayed_waits_for_the_events_of_its_process() {
    let mut accounts = accounts();
    let last = Thread {
        left_at_ns: 900,
        ..thread(10, 10, 100)
    };
    accounts.update(0, &last_of_its_process(last, 0));
    for now_ns in [1_000, 2_000, 1_900_000_000] {
        let (events, freed) = process_at(&mut accounts, Vec::new(), 0, now_ns);
        assert!(events.is_empty() && freed.is_empty(), "at {now_ns}");
    }
    let records = vec![fork(10, 1, 400), thread_end(0, 10, 900)];
    let (events, freed) = process_at(&mut accounts, records, 0, 1_950_000_000);
    let [ProcessEvent::Fork(_), ProcessEvent::Exit(exit)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((&*exit.comm, exit.ppid), ("child", Some(1)));
    assert_eq!((freed, accounts.ends_without_event()), (vec![0], 0));
}

#[test]
fn an_exit_without_an_event_is_found_after_two_seconds() {
    let mut accounts = accounts();
    accounts.update(0, &last_of_its_process(thread(10, 10, 100), 0));
    process_at(&mut accounts, Vec::new(), 0, 1_000);
    let (events, freed) = process_at(&mut accounts, Vec::new(), 0, 2_000_001_000);
    assert_eq!((events.len(), freed), (1, vec![0]));
    assert_eq!(accounts.ends_without_event(), 1);
}

#[test]
fn counters_of_an_exited_thread_that_become_visible_late_count() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 100));
    accounts.update(0, &ended(thread(10, 10, 100)));
    process(&mut accounts, Vec::new());
    accounts.update(0, &last_of_its_process(thread(10, 10, 170), 3 << 8));
    let (events, freed) = process(&mut accounts, vec![thread_end(0, 10, 900)]);
    let [ProcessEvent::Exit(exit)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((exit.cpu_ns, exit.exit_code), (Some(170), Some(3)));
    assert_eq!(freed, [0]);
}

#[test]
fn a_child_has_the_arguments_and_the_cgroup_of_its_parent() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 1));
    let key = ProcessKey {
        pid: 10,
        start_ns: 5,
    };
    let details = ProcDetails {
        cmdline: Some("sh -c x".into()),
        cgroup: Some("/a".into()),
        ..ProcDetails::default()
    };
    accounts.apply_details(key, details);
    accounts.update(1, &thread(11, 11, 1));
    assert!(accounts.needs_pass(), "its name is not known yet");
    let (events, _freed) = process(&mut accounts, vec![fork(11, 10, 900)]);
    assert!(matches!(&events[..], [ProcessEvent::Fork(fork)] if fork.ppid == Some(10)));
    let reading = accounts.reading(0, &[]);
    let child = reading.processes.at(1);
    assert_eq!(
        (child.ppid, child.uid, &*child.comm),
        (Some(10), Some(1000), "child")
    );
    assert_eq!(child.cmdline.as_deref(), Some("sh -c x"));
    assert_eq!(child.cgroup.as_deref(), Some("/a"));
}

/// A regular pass that visits no task: its events, and the slots that it frees and
/// unlinks.
fn empty_pass(accounts: &mut Accounts) -> (Vec<ProcessEvent>, Vec<u32>, Vec<u32>) {
    let (mut freed, mut gone) = (Vec::new(), Vec::new());
    accounts.begin_pass(true);
    let events = accounts.end_pass(SystemTime::UNIX_EPOCH, &mut freed, &mut gone);
    accounts.reap(0, |_pid| false);
    (events, freed, gone)
}

#[test]
fn a_thread_that_two_passes_do_not_visit_has_exited() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 100));
    assert_eq!(empty_pass(&mut accounts), (vec![], vec![], vec![]));
    let (events, freed, gone) = empty_pass(&mut accounts);
    let [ProcessEvent::Exit(exit)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((exit.pid, exit.exit_code, exit.signal), (10, None, None));
    assert_eq!(accounts.reading(0, &[]).exited.cpu_ns, Some(100));
    assert_eq!((freed, gone), (vec![], vec![0]));
    // If it was at its last switch-out, that is seen now.
    accounts.update(0, &last_of_its_process(thread(10, 10, 101), 0));
    assert_eq!(
        process(&mut accounts, vec![thread_end(0, 10, 900)]),
        (vec![], vec![])
    );
    assert_eq!(empty_pass(&mut accounts), (vec![], vec![0], vec![]));
    accounts.update(0, &thread(12, 12, 30));
    assert_eq!(accounts.reading(0, &[]).processes.at(0).pid, 12);
}

#[test]
fn irregular_passes_do_not_end_threads() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 100));
    let (mut freed, mut gone) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        accounts.begin_pass(false);
        let events = accounts.end_pass(SystemTime::UNIX_EPOCH, &mut freed, &mut gone);
        assert!(events.is_empty(), "{events:?}");
    }
    assert!(freed.is_empty() && gone.is_empty());
}

#[test]
fn a_process_whose_last_thread_had_no_record_exits_when_passes_do_not_visit_it() {
    let mut accounts = accounts();
    accounts.update(0, &ended(thread(10, 10, 100)));
    let (events, freed) = process(&mut accounts, vec![thread_end(0, 10, 800)]);
    assert_eq!((events, freed), (vec![], vec![0]), "another thread runs");
    let without_record = TaskEntry {
        tid: 11,
        tgid: 10,
        process_start_ns: 5,
        slot: NO_SLOT,
        ..TaskEntry::default()
    };
    for _ in 0..3 {
        accounts.begin_pass(true);
        accounts.visit(&without_record, false);
        let (mut freed, mut gone) = (Vec::new(), Vec::new());
        let events = accounts.end_pass(SystemTime::UNIX_EPOCH, &mut freed, &mut gone);
        assert_eq!(events, [], "it is still there");
    }
    assert_eq!(empty_pass(&mut accounts).0, []);
    let (events, ..) = empty_pass(&mut accounts);
    assert!(matches!(&events[..], [ProcessEvent::Exit(exit)] if exit.pid == 10));
    assert!(accounts.reading(0, &[]).processes.is_empty());
}

#[test]
fn an_exited_leader_is_shown_as_a_zombie_with_the_memory_of_the_other_threads() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 100));
    accounts.update(1, &thread(11, 10, 50));
    accounts.update(0, &ended(thread(10, 10, 120)));
    process(&mut accounts, vec![thread_end(0, 10, 800)]);
    let of_leader = TaskEntry {
        tid: 10,
        tgid: 10,
        process_start_ns: 5,
        slot: NO_SLOT,
        exit_state: 0x20,
        ..TaskEntry::default()
    };
    let of_other = TaskEntry {
        tid: 11,
        slot: 1,
        exit_state: 0,
        rss_pages: 3,
        vm_pages: 4,
        ..of_leader
    };
    accounts.begin_pass(true);
    accounts.visit(&of_leader, false);
    accounts.visit(&of_other, false);
    let running = RunningThread {
        slot: 1,
        since_ns: 0,
        cpu_ns: 50,
    };
    let reading = accounts.reading(5, &[running]);
    let process = reading.processes.at(0);
    assert_eq!(process.state, Some(ProcessState::Zombie));
    assert_eq!(process.threads, Some(2));
    assert_eq!(process.rss_bytes, Some(3 * 4096));
    assert_eq!(process.cpu_ns, Some(175));
}

#[test]
fn exited_processes_leave_nothing_behind_while_no_reading_is_taken() {
    let mut accounts = accounts();
    for pid in 100..100_000 {
        accounts.update(0, &last_of_its_process(thread(pid, pid, 10), 0));
        let (events, freed) = process(&mut accounts, vec![fork(pid, 10, 1), thread_end(0, pid, 2)]);
        assert_eq!((events.len(), freed), (2, vec![0]));
    }
    assert!(accounts.processes.is_empty());
    for length in accounts.processes.list_lengths() {
        assert!(length <= 64, "{length} entries are left");
    }
    assert_eq!(accounts.reading(0, &[]).exited.processes, Some(99_900));
}

#[test]
fn threads_that_exited_before_the_start_count_once() {
    let mut accounts = accounts();
    let entry = TaskEntry {
        tid: 10,
        tgid: 10,
        process_start_ns: 5,
        slot: 0,
        flags: u32::from(KERNEL_THREAD),
        ended_cpu_ns: 1_000,
        comm: *b"old\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ..TaskEntry::default()
    };
    accounts.begin_pass(true);
    accounts.update(0, &thread(10, 10, 100));
    accounts.visit(&entry, true);
    accounts.begin_pass(true);
    accounts.visit(&entry, false);
    let reading = accounts.reading(0, &[]);
    assert_eq!(reading.processes.at(0).cpu_ns, Some(1_100));
    assert_eq!(&*reading.processes.at(0).comm, "old");
    assert_eq!(reading.processes.at(0).kernel_thread, Some(true));
}

#[test]
fn unavailable_fields_are_none_and_not_zero() {
    let available = AvailableFields {
        split: false,
        sleep: false,
        read_bytes: false,
        ..ALL
    };
    let mut accounts = Accounts::new(8, available, 4096, cgroups());
    accounts.update(0, &thread(10, 10, 100));
    let reading = accounts.reading(0, &[]);
    let process = reading.processes.at(0);
    assert_eq!((process.user_ns, process.system_ns), (None, None));
    assert_eq!((process.blocked_ns, process.read_bytes), (None, None));
    assert_eq!(
        (reading.exited.user_ns, reading.exited.blocked_ns),
        (None, None)
    );
    assert_eq!(reading.exited.cpu_ns, Some(0));
}

fn moved(cgroup_id: u64, time_ns: u64, leader_cpu_ns: u64) -> LifecycleEvent {
    LifecycleEvent::CgroupMove(CgroupMoveEvent {
        header: EventHeader {
            kind: collector_ebpf::EVENT_CGROUP_MOVE,
            pid: 10,
            time_ns,
            process_start_ns: 5,
        },
        cgroup_id,
        cpu_ns: leader_cpu_ns,
        ..CgroupMoveEvent::default()
    })
}

#[test]
fn usage_before_a_move_stays_in_the_old_cgroup() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 100));
    accounts.update(1, &thread(11, 10, 40));
    process(&mut accounts, vec![moved(7, 50, 100)]);
    // When the move is processed, the leader has been switched out since, and
    // the other thread has been running since before.
    accounts.update(0, &thread(10, 10, 500));
    let running = RunningThread {
        slot: 1,
        since_ns: 1_000,
        cpu_ns: 40,
    };
    process_beside(&mut accounts, running, vec![moved(8, 1_060, 300)]);
    accounts.update(1, &thread(11, 10, 120));
    let reading = accounts.reading(2_000, &[]);
    let of = |id| {
        let mut rows = reading.cgroups.iter();
        rows.find(|row| row.id == Some(id))
            .and_then(|row| row.cpu_ns)
    };
    // 300 of the one and 40 + 60 of the other; then 200 and 20.
    assert_eq!((of(7), of(8)), (Some(400), Some(220)));
    assert_eq!(reading.processes.at(0).cpu_ns, Some(620));
}

#[test]
fn what_a_reading_charged_before_a_move_is_not_charged_again() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 100));
    accounts.update(1, &thread(11, 10, 40));
    process(&mut accounts, vec![moved(7, 50, 100)]);
    // It has been running since 1,000, and a reading has charged it up to 1,025.
    accounts.update(1, &thread(11, 10, 65));
    let running = RunningThread {
        slot: 1,
        since_ns: 1_000,
        cpu_ns: 40,
    };
    process_beside(&mut accounts, running, vec![moved(8, 1_060, 100)]);
    let reading = accounts.reading(2_000, &[]);
    let mut rows = reading.cgroups.iter();
    let before = rows.find(|row| row.id == Some(7));
    assert_eq!(before.and_then(|row| row.cpu_ns), Some(200));
}

#[test]
fn the_io_of_a_thread_that_exits_during_a_pass_counts_once() {
    let mut accounts = accounts();
    accounts.begin_pass(true);
    let mut entry = TaskEntry {
        tid: 10,
        tgid: 10,
        process_start_ns: 5,
        slot: 0,
        read_bytes: 1_000,
        write_bytes: 10,
        ..TaskEntry::default()
    };
    accounts.update(0, &thread(10, 10, 0));
    accounts.update(1, &thread(11, 10, 0));
    accounts.visit(&entry, false);
    // The leader has exited, and the kernel has added up its I/O.
    (entry.tid, entry.slot) = (11, 1);
    (entry.ended_read_bytes, entry.ended_write_bytes) = (1_000, 10);
    (entry.read_bytes, entry.write_bytes) = (200, 2);
    accounts.visit(&entry, false);
    let reading = accounts.reading(0, &[]);
    let process = reading.processes.at(0);
    assert_eq!(
        (process.read_bytes, process.write_bytes),
        (Some(1_200), Some(12))
    );
}

#[test]
fn a_process_that_is_moved_continually_is_requested_once_a_tick() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 100));
    let mut done = HashSet::new();
    let moves = |from: u64| (from..from + 3).map(|id| moved(id, 10 * id, 100)).collect();
    process(&mut accounts, moves(7));
    let wanted = accounts.take_requests(&mut done);
    assert_eq!(wanted.len(), 1, "{wanted:?}");
    assert!(wanted[0].cgroup && wanted[0].process.pid == 10);
    process(&mut accounts, moves(20));
    assert_eq!(accounts.take_requests(&mut done), [], "it is the same tick");
    let wanted = accounts.take_requests(&mut HashSet::new());
    assert_eq!(wanted.len(), 1, "{wanted:?}");
}

#[test]
fn a_path_read_before_a_move_is_discarded() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 100));
    process(&mut accounts, vec![moved(7, 70, 100)]);
    let wanted = accounts.take_requests(&mut HashSet::new());
    assert!(wanted[0].cgroup, "{wanted:?}");
    // It is moved, and the event is processed, before the details are applied.
    process(&mut accounts, vec![moved(8, 80, 100)]);
    let found = |wanted: &DetailsRequest, path: &str| ProcDetails {
        cgroup: Some(path.into()),
        moves: wanted.moves,
        ..ProcDetails::default()
    };
    accounts.apply_details(wanted[0].process, found(&wanted[0], "/before"));
    let path = |accounts: &mut Accounts| accounts.reading(0, &[]).processes.at(0).cgroup.clone();
    assert_eq!(path(&mut accounts), None);
    let wanted = accounts.take_requests(&mut HashSet::new());
    assert!(wanted[0].cgroup, "{wanted:?}");
    accounts.apply_details(wanted[0].process, found(&wanted[0], "/after"));
    assert_eq!(path(&mut accounts).as_deref(), Some("/after"));
}

#[test]
fn the_command_line_of_an_existing_process_is_requested() {
    let mut accounts = accounts();
    let entry = TaskEntry {
        tid: 10,
        tgid: 10,
        process_start_ns: 5,
        slot: 0,
        comm: *b"old\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ..TaskEntry::default()
    };
    accounts.begin_pass(true);
    accounts.update(0, &thread(10, 10, 100));
    accounts.visit(&entry, true);
    let wanted = next_request(&mut accounts).expect("something is not known");
    assert!(wanted.cmdline);
    accounts.apply_details(
        wanted.process,
        ProcDetails {
            cmdline: Some("old --and grey".into()),
            ..ProcDetails::default()
        },
    );
    let reading = accounts.reading(0, &[]);
    assert_eq!(
        reading.processes.at(0).cmdline.as_deref(),
        Some("old --and grey")
    );
}

#[test]
fn a_command_line_is_requested_again_if_an_exec_event_was_lost() {
    let mut accounts = accounts();
    let entry = |exec_id| TaskEntry {
        tid: 10,
        tgid: 10,
        process_start_ns: 5,
        slot: 0,
        exec_id,
        ..TaskEntry::default()
    };
    accounts.begin_pass(true);
    accounts.update(0, &thread(10, 10, 100));
    accounts.visit(&entry(3), true);
    let wanted = next_request(&mut accounts).expect("something is not known");
    let details = ProcDetails {
        cmdline: Some("before".into()),
        rss_bytes: Some(0),
        cgroup: Some("/".into()),
        ..ProcDetails::default()
    };
    accounts.apply_details(wanted.process, details);
    let line = |accounts: &mut Accounts| accounts.reading(0, &[]).processes.at(0).cmdline.clone();
    assert_eq!(line(&mut accounts).as_deref(), Some("before"));

    accounts.begin_pass(true);
    accounts.visit(&entry(3), false);
    assert_eq!(next_request(&mut accounts), None, "it is the same program");
    accounts.begin_pass(true);
    accounts.visit(&entry(4), false);
    assert_eq!(line(&mut accounts), None, "unknown, and not that of before");
    assert!(next_request(&mut accounts).is_some_and(|wanted| wanted.cmdline));
}
