//! The task that begins collections when they are due.

use std::sync::{Arc, Weak, atomic::Ordering};

use super::{
    batch::Batch,
    core::{Core, earlier},
    sync::lock,
};

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
        if let Some(due) = state.schedule.due(now) {
            state.counters.skipped += due.skipped;
            if let Some(job) = core.take_off(place, &mut state, at, now) {
                state.counters.late(due.lateness);
                jobs.push(job);
            } else {
                state.counters.skipped += 1;
                state.schedule.skip(now);
            }
        }
        next = earlier(next, state.schedule.next());
        if let Some(flight) = state.flight.filter(|flight| !flight.hung) {
            next = earlier(next, Some(flight.deadline));
        }
    }
    Batch::launch(core, jobs, at, now);
    earlier(next, core.unstall(now))
}
