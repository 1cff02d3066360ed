//! Processes that end as soon as they have begun, as fast as the machine can
//! make them.

use std::collections::BTreeSet;

use collector::source::ebpf::LoadOptions;
use collector_tests::{
    EventRecorder, children_cpu_ns, crowd, here_or_emulated, is_guest, threads_of_the_host,
    wait_until,
};

use crate::support::{assert_close, load_with, processes};

#[test]
fn of_twenty_thousand_processes_none_is_lost_and_none_leaves_a_record_behind() {
    let count = here_or_emulated(20_000, 2_000);
    // Fewer free records than processes: were they not given back, they would
    // run out.
    let threads = threads_of_the_host().expect("it is told");
    let scheduler = load_with(&LoadOptions {
        thread_records: Some(threads + count as u32 / 4),
        ..LoadOptions::default()
    });
    let recorder = EventRecorder::default();
    scheduler.send_events_to(recorder.clone());
    let exited_before = processes(&scheduler).exited;

    let used_before = children_cpu_ns().expect("it is told");
    let pids = crowd(count).expect("they start");
    let used = children_cpu_ns().expect("it is told") - used_before;
    let pids: BTreeSet<u32> = pids.into_iter().collect();
    assert_eq!(pids.len(), count, "no number came twice");

    wait_until("all their ends are told", || {
        let recorded = recorder.recorded();
        let ended = recorded.exits.iter().map(|exit| exit.pid);
        ended.filter(|pid| pids.contains(pid)).count() >= count
    });
    let recorded = recorder.recorded();
    let exits: Vec<_> = recorded
        .exits
        .iter()
        .filter(|exit| pids.contains(&exit.pid))
        .collect();
    assert_eq!(exits.len(), count);
    for exit in &exits {
        assert_eq!((exit.exit_code, exit.signal), (Some(0), None), "{exit:?}");
    }
    let charged: u64 = exits.iter().filter_map(|exit| exit.cpu_ns).sum();
    println!(
        "{count} processes: {charged} ns charged, {} ns by rusage ({:+.4} %), {} events dropped",
        used,
        (charged as f64 / used as f64 - 1.0) * 100.0,
        scheduler.events_dropped()
    );
    assert_close("cpu_ns", charged, used, 0.005, 0);

    // Each event that does not come has been told to be lost.
    let forks = recorded
        .forks
        .iter()
        .filter(|fork| pids.contains(&fork.pid));
    let execs = recorded
        .execs
        .iter()
        .filter(|exec| pids.contains(&exec.pid));
    let missing = (2 * count - forks.count() - execs.count()) as u64;
    println!(
        "{missing} begins are missing; the kernel left out {}",
        scheduler.events_missed()
    );
    wait_until("each begin that is missing was told to be lost", || {
        processes(&scheduler);
        missing <= recorder.lost()
    });
    if is_guest() {
        assert_eq!(missing, recorder.lost(), "nothing else has begun");
    }

    assert_eq!(scheduler.threads_dropped(), 0);
    let reading = processes(&scheduler);
    let exited = reading.exited;
    let grown = |now: Option<u64>, before: Option<u64>| now.zip(before).map(|(a, b)| a - b);
    assert!(grown(exited.processes, exited_before.processes) >= Some(count as u64));
    assert!(grown(exited.cpu_ns, exited_before.cpu_ns) >= Some(charged));
    let left: Vec<u32> = pids
        .into_iter()
        .filter(|&pid| {
            reading
                .processes
                .get(pid)
                .is_some_and(|row| &*row.comm == "true")
        })
        .collect();
    assert_eq!(left, [0; 0], "they are gone");
}
