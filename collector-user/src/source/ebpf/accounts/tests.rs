use std::time::{Duration, SystemTime};

use collector_ebpf::{EventHeader, KERNEL_THREAD, THREAD_LIVE, TaskEntry, ThreadEndEvent};

use super::*;
use crate::{metric::ProcessEvent, source::ebpf::event_record::EventRecord};

const ALL: Known = Known {
    split: true,
    runqueue: true,
    blocked: true,
    wakeups: true,
    minor_faults: true,
    major_faults: true,
    io: true,
    rss: true,
    vm: true,
    forks: true,
    execs: true,
    exits: true,
};

fn accounts() -> Accounts {
    Accounts::new(64, ALL, 4096)
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

fn clock(monotonic_ns: u64) -> Clock {
    Clock {
        monotonic_ns,
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
    }
}

fn settle(accounts: &mut Accounts, records: Vec<EventRecord>) -> (Vec<ProcessEvent>, Vec<u32>) {
    let mut freed = Vec::new();
    let events = accounts.settle(records, &clock(1_000), &mut freed);
    (events, freed)
}

fn fork(pid: u32, ppid: u32, time_ns: u64) -> EventRecord {
    EventRecord::Fork(collector_ebpf::ForkEvent {
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

fn thread_end(index: u32, pid: u32, time_ns: u64) -> EventRecord {
    EventRecord::ThreadEnd(ThreadEndEvent {
        header: EventHeader {
            kind: collector_ebpf::EVENT_THREAD_END,
            pid,
            time_ns,
            process_start_ns: 5,
        },
        thread: index,
        tid: pid,
    })
}

#[test]
fn a_process_is_the_sum_of_its_threads() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 100));
    accounts.update(1, &thread(11, 10, 50));
    accounts.update(1, &thread(11, 10, 70));
    let reading = accounts.reading(0, &[]);
    assert_eq!(reading.processes.len(), 1);
    assert_eq!(reading.processes[0].cpu_ns, Some(170));
    assert_eq!(reading.processes[0].threads, Some(2));
}

#[test]
fn time_in_flight_is_shown_and_a_total_never_shrinks() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 100));
    let shown = |accounts: &mut Accounts, now, running: &[Running]| {
        accounts.reading(now, running).processes[0].cpu_ns
    };
    let running = Running {
        thread: 0,
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
        accounts.reading(1_000, &[]).processes[0].runqueue_ns,
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
        accounts.reading(1_100, &[]).processes[0].runqueue_ns,
        Some(190)
    );
}

#[test]
fn what_a_process_used_goes_to_the_exited_when_its_last_thread_ends() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 100));
    accounts.update(1, &thread(11, 10, 50));
    // The leading thread ends first: the process goes on.
    accounts.update(0, &ended(thread(10, 10, 120)));
    let (events, freed) = settle(&mut accounts, vec![thread_end(0, 10, 800)]);
    assert_eq!((events.len(), freed), (0, vec![0]));
    assert_eq!(accounts.reading(0, &[]).processes[0].cpu_ns, Some(170));

    accounts.update(1, &last_of_its_process(thread(11, 10, 60), 3 << 8));
    let (events, freed) = settle(&mut accounts, vec![thread_end(1, 10, 900)]);
    assert_eq!(freed, [1]);
    let [ProcessEvent::Exit(exit)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (exit.pid, exit.cpu_ns, exit.exit_code, exit.signal),
        (10, Some(180), Some(3), None)
    );
    assert_eq!(exit.time, clock(1_000).wall - Duration::from_nanos(100));
    let reading = accounts.reading(0, &[]);
    assert!(reading.processes.is_empty());
    assert_eq!(reading.exited.processes, Some(1));
    assert_eq!(reading.exited.cpu_ns, Some(180));
}

#[test]
fn a_record_that_was_given_away_again_begins_anew() {
    let mut accounts = accounts();
    accounts.update(0, &last_of_its_process(thread(10, 10, 100), 0));
    // Read twice before it is settled: it counts once.
    accounts.update(0, &last_of_its_process(thread(10, 10, 100), 0));
    settle(&mut accounts, vec![thread_end(0, 10, 900)]);
    accounts.update(0, &thread(12, 12, 30));
    let reading = accounts.reading(0, &[]);
    assert_eq!(reading.exited.cpu_ns, Some(100));
    assert_eq!(reading.processes[0].cpu_ns, Some(30));
}

#[test]
fn an_end_whose_event_was_lost_is_found_all_the_same() {
    let mut accounts = accounts();
    accounts.update(0, &last_of_its_process(thread(10, 10, 100), 9));
    let (events, freed) = settle(&mut accounts, Vec::new());
    assert!(
        events.is_empty() && freed.is_empty(),
        "its event may be on its way"
    );
    let (events, freed) = settle(&mut accounts, Vec::new());
    let [ProcessEvent::Exit(exit)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((exit.exit_code, exit.signal), (None, Some(9)));
    assert_eq!(freed, [0]);
}

#[test]
fn a_child_has_the_arguments_and_the_cgroup_of_its_parent() {
    let mut accounts = accounts();
    accounts.update(0, &thread(10, 10, 1));
    let key = Key {
        pid: 10,
        start_ns: 5,
    };
    let details = Details {
        cmdline: Some("sh -c x".into()),
        cgroup: Some("/a".into()),
        ..Details::default()
    };
    accounts.looked_up(key, details);
    accounts.update(1, &thread(11, 11, 1));
    assert!(accounts.needs_pass(), "its name is not known yet");
    let (events, _freed) = settle(&mut accounts, vec![fork(11, 10, 900)]);
    assert!(matches!(&events[..], [ProcessEvent::Fork(fork)] if fork.ppid == Some(10)));
    let reading = accounts.reading(0, &[]);
    let child = &reading.processes[1];
    assert_eq!(
        (child.ppid, child.uid, &*child.comm),
        (Some(10), Some(1000), "child")
    );
    assert_eq!(child.cmdline.as_deref(), Some("sh -c x"));
    assert_eq!(child.cgroup.as_deref(), Some("/a"));
}

#[test]
fn a_thread_that_two_passes_do_not_find_is_gone() {
    let mut accounts = accounts();
    accounts.begin_pass();
    accounts.update(0, &thread(10, 10, 100));
    let mut freed = Vec::new();
    let now = SystemTime::UNIX_EPOCH;
    assert!(accounts.end_pass(now, &mut freed).is_empty());
    accounts.begin_pass();
    assert!(
        accounts.end_pass(now, &mut freed).is_empty(),
        "one pass may miss it"
    );
    accounts.begin_pass();
    let events = accounts.end_pass(now, &mut freed);
    let [ProcessEvent::Exit(exit)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((exit.pid, exit.exit_code, exit.signal), (10, None, None));
    assert_eq!(freed, [0]);
    assert_eq!(accounts.reading(0, &[]).exited.cpu_ns, Some(100));
}

#[test]
fn what_threads_used_that_ended_before_the_start_counts_once() {
    let mut accounts = accounts();
    let entry = TaskEntry {
        tid: 10,
        tgid: 10,
        process_start_ns: 5,
        thread: 0,
        flags: KERNEL_THREAD,
        ended_cpu_ns: 1_000,
        comm: *b"old\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ..TaskEntry::default()
    };
    accounts.begin_pass();
    accounts.update(0, &thread(10, 10, 100));
    accounts.visit(&entry, true);
    accounts.begin_pass();
    accounts.visit(&entry, false);
    let reading = accounts.reading(0, &[]);
    assert_eq!(reading.processes[0].cpu_ns, Some(1_100));
    assert_eq!(&*reading.processes[0].comm, "old");
    assert_eq!(reading.processes[0].kernel_thread, Some(true));
}

#[test]
fn what_is_not_known_is_empty_and_not_zero() {
    let known = Known {
        split: false,
        blocked: false,
        io: false,
        ..ALL
    };
    let mut accounts = Accounts::new(8, known, 4096);
    accounts.update(0, &thread(10, 10, 100));
    let reading = accounts.reading(0, &[]);
    let process = &reading.processes[0];
    assert_eq!((process.user_ns, process.system_ns), (None, None));
    assert_eq!((process.blocked_ns, process.read_bytes), (None, None));
    assert_eq!(
        (reading.exited.user_ns, reading.exited.blocked_ns),
        (None, None)
    );
    assert_eq!(reading.exited.cpu_ns, Some(0));
}
