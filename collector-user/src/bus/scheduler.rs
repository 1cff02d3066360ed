//! The task that begins collections when they are due.

use std::sync::{Arc, Weak, atomic::Ordering};

use tokio::sync::Notify;

use super::{
    batch::{Batch, panic_text},
    collection::Job,
    core::{Core, Sharing, earlier},
    mode::Mode,
    state::State,
};
use crate::{feed::Ended, source::Timestamp};

/// Starts the scheduler on a runtime, and a task that ends the subscriptions
/// when it ends, for whatever reason.
pub(super) fn start(core: &Arc<Core>) {
    let scheduler = core
        .runtime
        .spawn(run(Arc::downgrade(core), Arc::clone(&core.changed)));
    let end = EndsSubscriptions {
        core: Arc::downgrade(core),
        why: Ended::RuntimeGone,
    };
    core.runtime.spawn(supervise(scheduler, end));
}

/// Ends the subscriptions of a bus when it is dropped.
struct EndsSubscriptions {
    core: Weak<Core>,
    why: Ended,
}

impl Drop for EndsSubscriptions {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade()
            && core.end.why().is_none()
        {
            core.end_for(&self.why);
        }
    }
}

/// Waits for the end of the scheduler. A runtime that ends drops this task, and
/// with it `end`.
async fn supervise(scheduler: tokio::task::JoinHandle<()>, mut end: EndsSubscriptions) {
    if let Err(error) = scheduler.await
        && let Ok(panic) = error.try_into_panic()
    {
        let text = panic_text(panic.as_ref()).unwrap_or("no message");
        tracing::error!(text, "the scheduler of the bus panicked");
        end.why = Ended::SchedulerPanicked(text.into());
    }
}

/// Runs until the bus has ended, or its last handle was dropped.
async fn run(core: Weak<Core>, changed: Arc<Notify>) {
    loop {
        let wake_at = {
            let Some(core) = core.upgrade() else {
                return;
            };
            if core.end.why().is_some() {
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

/// Begins what is due, together; returns when something is due next.
fn step(core: &Arc<Core>) -> Option<u64> {
    let now = core.timeline.now_ns();
    let at = core.clock.now();
    let mut jobs = Vec::new();
    let mut next = None;
    for (index, topic) in core.topics.iter().enumerate() {
        let mut state = topic.state(now);
        if state.check_deadline(&topic.info, now, &core.budget) {
            topic.collected.notify_waiters();
        }
        let (job, again) = core.sharing.begin(core, index, &mut state, at, now);
        jobs.extend(job);
        next = earlier(next, again);
        next = earlier(next, state.next_deadline(&topic.info));
    }
    Batch::launch(core, jobs, at, now);
    core.last_step_ns
        .store(at.boottime_ns.max(1), Ordering::Relaxed);
    earlier(next, core.help_pending(now))
}

/// Everything is shared: the bus begins a collection when its metric is due.
#[derive(Debug)]
pub(super) struct Shared;

impl Sharing for Shared {
    fn mode(&self) -> Mode {
        Mode::Bus
    }

    fn begin(
        &self,
        core: &Core,
        topic: usize,
        state: &mut State,
        at: Timestamp,
        now: u64,
    ) -> (Option<Job>, Option<u64>) {
        let mut begun = None;
        if let Some(due) = state.schedule.due(now) {
            state.counters.skipped += due.skipped;
            begun = core.start_collection(topic, state, at, now);
            if begun.is_some() {
                state.counters.late(due.lateness);
            } else {
                state.counters.skipped += 1;
                state.schedule.skip(now);
            }
        }
        (begun, state.schedule.next())
    }

    fn shares_reads(&self) -> bool {
        true
    }

    fn shares_readings(&self) -> bool {
        true
    }

    fn is_aligned(&self) -> bool {
        true
    }
}
