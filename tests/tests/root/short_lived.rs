//! Processes that end as soon as they have begun, as fast as the machine can
//! make them.

use std::collections::BTreeSet;

use collector::source::bpf::LoadOptions;
use collector_tests::{
    Crowd, Identity, Recorded, Recording, here_or_emulated, tasks_made, threads_of_the_host,
    wait_until,
};

use crate::support::{assert_close, load_with, processes};

#[test]
fn none_of_twenty_thousand_processes_is_lost_or_leaks_a_record() {
    let count = here_or_emulated(20_000, 2_000);
    // Fewer free records than processes: were they not given back, they would
    // run out.
    let threads = threads_of_the_host().expect("it is told");
    let accountant = load_with(&LoadOptions {
        thread_records: Some(threads + count as u32 / 4),
        ..LoadOptions::default()
    });
    let recorder = Recording::of(&accountant);
    let exited_before = processes(&accountant).exited;

    let made_before = tasks_made().expect("it is told");
    let crowd = Crowd::of(count).expect("they start");
    wait_until("all their ends are told", || {
        crowd.events_in(&recorder.recorded()).exits.len() >= count
    });
    let recorded = recorder.recorded();
    let mut ended = BTreeSet::new();
    for exit in &recorded.exits {
        let is_first = ended.insert((exit.pid, exit.start_time_ns));
        assert!(is_first, "its end is told twice: {exit:?}");
    }
    let Recorded {
        forks,
        execs,
        exits,
    } = crowd.events_in(&recorded);
    assert_eq!(exits.len(), count);
    for exit in &exits {
        assert_eq!((exit.exit_code, exit.signal), (Some(0), None), "{exit:?}");
    }
    let charged: u64 = exits.iter().filter_map(|exit| exit.cpu_ns).sum();
    println!(
        "{count} processes: {charged} ns charged, {} ns by rusage ({:+.4} %), {} events dropped",
        crowd.cpu_ns,
        (charged as f64 / crowd.cpu_ns as f64 - 1.0) * 100.0,
        accountant.events_dropped()
    );
    assert_close("cpu_ns", charged, crowd.cpu_ns, 0.005, 0);

    // Each missing event was counted as lost.
    let missing = (2 * count - forks.len() - execs.len()) as u64;
    println!(
        "{missing} begins are missing; the kernel left out {}",
        accountant.events_missed()
    );
    wait_until("each begin that is missing was told to be lost", || {
        processes(&accountant);
        missing <= recorder.lost()
    });
    // What else was made meanwhile may have lost a fork and an exec each.
    let others = tasks_made().expect("it is told") - made_before - count as u64;
    assert!(
        recorder.lost() <= missing + 2 * others,
        "{} lost, {missing} of them ours, with {others} others",
        recorder.lost()
    );

    assert_eq!(accountant.threads_dropped(), 0);
    let grown = |now: Option<u64>, before: Option<u64>| now.zip(before).map(|(a, b)| a - b);
    // Whether a zombie was reaped is looked at of so many a reading.
    wait_until("all are found to be reaped", || {
        let exited = processes(&accountant).exited;
        grown(exited.processes, exited_before.processes) >= Some(count as u64)
    });
    let reading = processes(&accountant);
    let exited = reading.exited;
    assert!(grown(exited.cpu_ns, exited_before.cpu_ns) >= Some(charged));
    let shown = reading.processes.iter();
    let left: Vec<Identity> = shown
        .map(|row| Identity::new(row.pid, row.start_time_ns))
        .filter(|process| crowd.processes.contains(process))
        .collect();
    assert!(left.is_empty(), "they are gone: {left:?}");
}
