//! The collections of one tick, and the threads that make them.

use std::{
    any::Any,
    collections::VecDeque,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use super::{
    collection::{Finished, Job, Outcome, Recipients},
    core::{Core, Pending},
    sync::lock,
    taken::Taken,
};
use crate::{
    collectors::CollectError,
    source::{Tick, Timestamp},
};

/// How long the collections of a tick wait behind one that takes long, before
/// another thread goes on with them.
const STALL: u64 = Duration::from_millis(20).as_nanos() as u64;

/// The collections of one tick. They share what they read.
///
/// One thread makes the cheap ones after each other, since waking a thread
/// costs more than reading a file. Each heavy one has a thread of its own, and
/// when one stalls, another thread takes the rest over. A metric is in flight
/// at most once, so there are never more threads than metrics.
pub(super) struct Batch {
    core: Arc<Core>,
    /// `None` if nothing is shared: then each collection has its own.
    tick: Option<Tick>,
    now: u64,
    queue: Mutex<Queue>,
    /// In which its collections are, at the level of debug.
    span: tracing::Span,
    /// The clock of a test stands still as long as this batch lives.
    _held: Option<Box<dyn Any + Send + Sync>>,
}

#[derive(Debug)]
struct Queue {
    jobs: VecDeque<Job>,
    /// When the last job was taken, or another thread was sent for.
    moved: u64,
}

impl Batch {
    /// Starts the jobs, all of which are marked as in flight.
    pub(super) fn launch(core: &Arc<Core>, mut jobs: Vec<Job>, at: Timestamp, now: u64) {
        if jobs.is_empty() {
            return;
        }
        jobs.sort_by_key(|job| !core.topics[job.topic].info.is_heavy());
        let heavy = jobs
            .iter()
            .filter(|job| core.topics[job.topic].info.is_heavy())
            .count();
        let threads = heavy + usize::from(heavy < jobs.len());
        let ticks = if core.sharing.shares_reads() {
            1
        } else {
            jobs.iter().map(|job| job.each.len().max(1) as u64).sum()
        };
        let batch = Arc::new(Self {
            core: Arc::clone(core),
            tick: core.sharing.shares_reads().then(|| {
                let names = jobs
                    .iter()
                    .filter_map(|job| core.topics[job.topic].info.declared());
                core.sources.tick_for(&core.clock, at, names.collect())
            }),
            now,
            span: tracing::debug_span!("tick", collections = jobs.len()),
            queue: Mutex::new(Queue {
                jobs: jobs.into(),
                moved: now,
            }),
            _held: core.clock.hold(),
        });
        let pending = Arc::downgrade(&batch) as Weak<dyn Pending>;
        core.note_ticks(ticks, pending);
        for _ in 0..threads {
            if let Err(error) = batch.send_thread() {
                batch.give_up(&error, at);
                break;
            }
        }
    }

    fn send_thread(self: &Arc<Self>) -> io::Result<()> {
        let batch = Arc::clone(self);
        self.core.workers.run(Box::new(move || batch.run()))
    }

    /// There is no thread for the jobs that wait, and there will be none.
    fn give_up(&self, error: &io::Error, at: Timestamp) {
        let jobs = std::mem::take(&mut lock(&self.queue).jobs);
        for job in jobs {
            let failed = Finished {
                flight: job.flight,
                outcome: Outcome::Error(CollectError::failed(format!(
                    "cannot make a thread for the collection: {error}"
                ))),
                taken: Taken::at(at),
                took: Duration::ZERO,
                last: true,
            };
            let topic = &self.core.topics[job.topic];
            self.core.finish(topic, failed, Recipients::DueAt(self.now));
        }
    }

    fn run(&self) {
        // The time line and the clocks of tests are told by the runtime.
        let _entered = self.core.runtime.enter();
        while let Some(job) = self.next_job() {
            let topic = &self.core.topics[job.topic];
            self.core.begin(topic, job.flight);
            let mut each = job.each.iter().copied();
            loop {
                let to = match each.next() {
                    Some(subscriber) => Recipients::One {
                        subscriber,
                        now: self.now,
                    },
                    None => Recipients::DueAt(self.now),
                };
                let last = each.len() == 0;
                let began = Instant::now();
                let Some((outcome, taken)) = self.collect(job.topic) else {
                    break;
                };
                let ended = Finished {
                    flight: job.flight,
                    outcome,
                    taken,
                    took: began.elapsed(),
                    last,
                };
                self.core.finish(topic, ended, to);
                if last {
                    break;
                }
            }
        }
    }

    fn next_job(&self) -> Option<Job> {
        let mut queue = lock(&self.queue);
        let job = queue.jobs.pop_front()?;
        queue.moved = self.core.timeline.now_ns();
        Some(job)
    }

    fn collect(&self, index: usize) -> Option<(Outcome, Taken)> {
        let topic = &self.core.topics[index];
        let collected = topic.info.collected()?;
        let metric = topic.info.metric.name();
        let _span = tracing::trace_span!(parent: &self.span, "collect", metric).entered();
        let clock = &self.core.clock;
        let began = clock.now();
        let tick = match &self.tick {
            Some(tick) => tick.for_collection(),
            None => self.core.sources.tick_for(
                clock,
                began,
                topic.info.declared().into_iter().collect(),
            ),
        };
        // A panic may leave the collector's own state half-changed, but nothing
        // of the bus; the collector is asked again, as after an error.
        let result = catch_unwind(AssertUnwindSafe(|| {
            lock(&collected.collector).collect(&tick)
        }));
        let taken = Taken::within(tick.window(), began, clock.now());
        let outcome = match result {
            Ok(Ok(reading)) => Outcome::Reading(self.core.fit(index, reading)),
            Ok(Err(error)) => Outcome::Error(error),
            Err(panic) => Outcome::Panic(panic_text(panic.as_ref()).unwrap_or_default().into()),
        };
        Some((outcome, taken))
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> Option<&str> {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}

impl Pending for Batch {
    /// Makes another thread take over if the jobs have stalled.
    fn help(self: Arc<Self>, now: u64) -> Option<u64> {
        let mut queue = lock(&self.queue);
        if queue.jobs.is_empty() {
            return None;
        }
        if queue.moved + STALL <= now {
            queue.moved = now;
            // Where there is no thread, the one that stalls goes on.
            let _ = self.send_thread();
        }
        Some(queue.moved + STALL)
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
