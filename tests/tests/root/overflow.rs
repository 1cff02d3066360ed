//! More events than the ring buffer takes.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use collector::{collectors::ebpf::EventSink, metric::ProcessEvent, source::bpf::LoadOptions};
use collector_tests::{
    Crowd, EventRecorder, Identity, Recorded, here_or_emulated, tasks_made, wait_until,
};

use crate::support::{Totals, assert_close, load_with, look, processes};

/// Forwards events, but blocks the receiving thread until it is released.
#[derive(Clone)]
struct Blocking {
    recorder: EventRecorder,
    goes_on: Arc<(Mutex<bool>, Condvar)>,
}

impl Blocking {
    fn go_on(&self) {
        let (goes_on, changed) = &*self.goes_on;
        *goes_on.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    fn wait(&self) {
        let (goes_on, changed) = &*self.goes_on;
        let guard = goes_on.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_while(guard, |goes_on| !*goes_on));
    }
}

impl EventSink for Blocking {
    fn is_wanted(&self) -> bool {
        true
    }

    fn publish(&self, event: ProcessEvent) {
        self.wait();
        self.recorder.publish(event);
    }

    fn lost(&self, count: u64) {
        self.wait();
        EventSink::lost(&self.recorder, count);
    }
}

#[test]
fn events_lost_to_a_full_ring_buffer_are_counted_and_no_process_is_lost() {
    let count = here_or_emulated(2_000, 400);
    let accountant = load_with(&LoadOptions {
        // Room for the events of a hundred processes.
        events_bytes: Some(64 << 10),
        ..LoadOptions::default()
    });
    let (before, _cpus) = look(&accountant);
    let recorder = EventRecorder::default();
    let sink = Blocking {
        recorder: recorder.clone(),
        goes_on: Arc::default(),
    };
    let _stream = accountant.send_events_to(sink.clone());
    let made_before = tasks_made().expect("it is told");
    let crowd = Crowd::of(count).expect("they start");
    assert!(
        accountant.events_dropped() > 0,
        "the buffer did not fill up"
    );
    sink.go_on();

    wait_until("all their ends are told", || {
        // Exits without an event are found by the reading of processes.
        processes(&accountant);
        crowd.events_in(&recorder.recorded()).exits.len() >= count
    });
    let Recorded {
        forks,
        execs,
        exits,
    } = crowd.events_in(&recorder.recorded());
    assert_eq!(exits.len(), count);
    let (mut charged, mut are_told) = (0, 0);
    for exit in &exits {
        charged += exit.cpu_ns.unwrap_or(0);
        are_told += usize::from(exit.exit_code == Some(0));
    }
    assert_eq!(are_told, count, "how they ended is in their records");
    assert_close("cpu_ns", charged, crowd.cpu_ns, 0.005, 0);

    // Dropped events are forks and execs, which are counted as lost, and exits that were
    // found without an event.
    wait_until("each end that was dropped was found", || {
        processes(&accountant);
        let untold = accountant.events_dropped() + accountant.events_missed();
        untold - accountant.events_lost() == accountant.ends_without_event()
    });
    let missing = (2 * count - forks.len() - execs.len()) as u64;
    println!(
        "{} dropped: {} lost, {missing} of them ours; {} ends found without",
        accountant.events_dropped(),
        accountant.events_lost(),
        accountant.ends_without_event()
    );
    let lost = accountant.events_lost();
    assert_eq!(recorder.lost(), lost);
    assert!(missing > 0);
    // What else was made meanwhile may have lost a fork and an exec each.
    let others = tasks_made().expect("it is told") - made_before - count as u64;
    assert!(
        (missing..=missing + 2 * others).contains(&lost),
        "{lost} lost, {missing} of them ours, with {others} others"
    );

    // What the processes used is in the sums, and none is left.
    let (after, _cpus) = look(&accountant);
    Totals::assert_conserved(&before, &after);
    let reading = processes(&accountant);
    let shown = reading.processes.iter();
    let left: Vec<Identity> = shown
        .map(|row| Identity::new(row.pid, row.start_time_ns))
        .filter(|process| crowd.processes.contains(process))
        .collect();
    assert!(left.is_empty(), "they are gone: {left:?}");
}
