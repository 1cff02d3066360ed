//! The task that begins collections when they are due.

use std::sync::{Arc, Weak, atomic::Ordering};

use super::{
    batch::{Batch, Job},
    core::{Core, earlier},
    modes::{self, Mode},
    sync::lock,
    topic::State,
};
use crate::source::Timestamp;

/// Runs until the bus was shut down, or its last handle has gone.
pub(super) async fn run(core: Weak<Core>, changed: Arc<tokio::sync::Notify>) {
    loop {
        let wake_at = {
            let Some(core) = core.upgrade() else {
                return;
            };
            if core.closed.load(Ordering::SeqCst) {
                return;
            }
            step(&core).map(|at| core.timeline.instant(at))
        };
        match wake_at {
            Some(at) => {
                tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = changed.notified() => {}
                }
            }
            None => changed.notified().await,
        }
    }
}

/// Begins what is due, together; the answer is when something is due next.
fn step(core: &Arc<Core>) -> Option<u64> {
    let now = core.timeline.now_ns();
    let at = core.clock.now();
    let mut jobs = Vec::new();
    let mut next = None;
    for (place, topic) in core.topics.iter().enumerate() {
        let mut state = lock(&topic.state);
        state.prune(topic, now);
        state.check_deadline(topic, now);
        let (job, again) = match core.mode {
            Mode::Bus => when_due(core, place, &mut state, at, now),
            Mode::Cache => modes::on_demand(core, place, &mut state, at, now),
            Mode::Independent => modes::each_alone(core, place, &mut state, at, now),
        };
        jobs.extend(job);
        next = earlier(next, again);
        if let Some(flight) = state.flight.filter(|flight| !flight.hung) {
            next = earlier(next, Some(flight.deadline));
        }
    }
    Batch::launch(core, jobs, at, now);
    earlier(next, core.unstall(now))
}

/// What [`Mode::Bus`] begins of one metric, and when it is due next.
fn when_due(
    core: &Core,
    place: usize,
    state: &mut State,
    at: Timestamp,
    now: u64,
) -> (Option<Job>, Option<u64>) {
    let mut begun = None;
    if let Some(due) = state.schedule.due(now) {
        state.counters.skipped += due.skipped;
        begun = core.take_off(place, state, at, now);
        if begun.is_some() {
            state.counters.late(due.lateness);
        } else {
            state.counters.skipped += 1;
            state.schedule.skip(now);
        }
    }
    (begun, state.schedule.next())
}
