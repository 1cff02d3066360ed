//! What all handles of one bus share.

use std::{
    any::Any,
    fmt,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use super::{
    budget::Budget,
    collection::{Finished, Job, Recipients},
    end::End,
    flight::Flight,
    mode::Mode,
    state::State,
    sync::lock,
    timeline::Timeline,
    topic::Topic,
    workers::Workers,
};
use crate::{
    feed::{Ended, SubscribeError},
    metric::{AnyReading, Origin},
    source::{Clock, Sources, Timestamp},
};

/// What all handles of one bus share. It ends with the last of them.
pub(super) struct Core {
    /// By tier and name.
    pub(super) topics: Box<[Topic]>,
    pub(super) sharing: Box<dyn Sharing>,
    pub(super) budget: Budget,
    pub(super) sources: Sources,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timeline: Timeline,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) workers: Workers,
    pub(super) origin: Arc<Origin>,
    /// Tells the scheduler that something may be due.
    pub(super) changed: Arc<Notify>,
    pub(super) end: End,
    pub(super) ticks: AtomicU64,
    /// When the scheduler last checked what is due, on `CLOCK_BOOTTIME`; 0 if
    /// it has not yet.
    pub(super) last_step_ns: AtomicU64,
    /// Handles of the bus, with which publishers can be made.
    pub(super) handles: AtomicUsize,
    /// What lives as long as the bus does.
    attached: Mutex<Vec<Box<dyn Any + Send>>>,
    pending: Mutex<Vec<Weak<dyn Pending>>>,
}

/// When collections begin, and what they share.
pub(super) trait Sharing: fmt::Debug + Send + Sync {
    /// Its name in the status.
    fn mode(&self) -> Mode;

    /// What begins now of the metric with this index, and when it is due next.
    fn begin(
        &self,
        core: &Core,
        topic: usize,
        state: &mut State,
        at: Timestamp,
        now: u64,
    ) -> (Option<Job>, Option<u64>);

    /// Whether the collections of one tick share what they read.
    fn shares_reads(&self) -> bool;

    /// Whether all subscribers and snapshots share one reading.
    fn shares_readings(&self) -> bool;

    /// Whether the due times of all subscribers are multiples of their
    /// intervals on one clock.
    fn is_aligned(&self) -> bool;
}

/// Collections that wait for a thread.
pub(super) trait Pending: Send + Sync {
    /// Helps them if they have waited for long. The answer is when to do so
    /// again, or `None` if none waits.
    fn help(self: Arc<Self>, now: u64) -> Option<u64>;
}

impl Core {
    pub(super) fn new(
        topics: Box<[Topic]>,
        sharing: Box<dyn Sharing>,
        cache_bytes: usize,
        sources: Sources,
        clock: Arc<dyn Clock>,
        runtime: tokio::runtime::Handle,
        origin: Arc<Origin>,
    ) -> Self {
        Self {
            budget: Budget::new(cache_bytes, topics.len()),
            topics,
            sharing,
            sources,
            timeline: Timeline::starting_at(clock.now().monotonic_ns),
            clock,
            runtime,
            workers: Workers::new(),
            origin,
            changed: Arc::new(Notify::new()),
            end: End::default(),
            ticks: AtomicU64::new(0),
            last_step_ns: AtomicU64::new(0),
            handles: AtomicUsize::new(0),
            attached: Mutex::default(),
            pending: Mutex::new(Vec::new()),
        }
    }

    /// The index of a metric.
    pub(super) fn find(&self, name: &str) -> Result<usize, SubscribeError> {
        self.topics
            .iter()
            .position(|topic| topic.info.metric.name() == name)
            .ok_or_else(|| SubscribeError::unknown_metric(name, self.names()))
    }

    /// The names of the metrics.
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.topics.iter().map(|topic| topic.info.metric.name());
        names.map(str::to_owned).collect()
    }

    /// Marks a metric as in flight, if it is collected and may be now. The
    /// caller launches the job.
    pub(super) fn start_collection(
        &self,
        topic: usize,
        state: &mut State,
        at: Timestamp,
        now: u64,
    ) -> Option<Job> {
        if !self.topics[topic].info.is_collected()
            || state.flight.is_some()
            || self.end.is_closing()
        {
            return None;
        }
        state.flights += 1;
        state.flight = Some(Flight {
            number: state.flights,
            asked: now,
            asked_at: at,
            began: None,
            hung: false,
        });
        state.schedule.started(now);
        state.counters.collections += 1;
        Some(Job {
            topic,
            flight: state.flights,
            each: Vec::new(),
        })
    }

    /// A thread begins a collection. One that was reported as not started, since
    /// it waited for a thread for longer than its deadline, has all of its time
    /// from now on.
    pub(super) fn begin(&self, topic: &Topic, flight: u64) {
        let mut state = topic.state_as_is();
        if let Some(own) = state.flight.as_mut().filter(|own| own.number == flight) {
            own.began = Some(self.timeline.now_ns());
            if std::mem::take(&mut own.hung) {
                self.changed.notify_one();
            }
        }
    }

    /// A collection has ended.
    pub(super) fn finish(&self, topic: &Topic, finished: Finished, to: Recipients) {
        let mut state = topic.state(self.timeline.now_ns());
        let Some(flight) = state.flight.filter(|own| own.number == finished.flight) else {
            return;
        };
        if finished.last {
            state.flight = None;
        }
        let took = finished.took;
        state.counters.took(took);
        if flight.hung {
            // Its subscribers have had a sample that says so. Its reading is old
            // by now, so the metric is collected again.
            tracing::info!(
                metric = topic.info.metric.name(),
                ?took,
                "a hung collection returned"
            );
        } else {
            state.conclude(&topic.info, finished, to, &self.budget);
        }
        drop(state);
        topic.collected.notify_waiters();
        if flight.hung || !self.sharing.is_aligned() {
            self.changed.notify_one();
        }
    }

    /// A tick, or several that share nothing, has begun.
    pub(super) fn note_ticks(&self, ticks: u64, pending: Weak<dyn Pending>) {
        self.ticks.fetch_add(ticks, Ordering::Relaxed);
        lock(&self.pending).push(pending);
    }

    /// Helps the collections that have waited for a thread for long; the answer
    /// is when to do so again.
    pub(super) fn help_pending(&self, now: u64) -> Option<u64> {
        let mut next = None;
        lock(&self.pending).retain(|pending| {
            let again = pending.upgrade().and_then(|pending| pending.help(now));
            next = earlier(next, again);
            again.is_some()
        });
        next
    }

    /// A new reading of a metric, cut if the cache would be over its budget;
    /// then what is cached of other metrics is cut as well. What cannot be cut
    /// stays whole.
    pub(super) fn fit(&self, topic: usize, reading: Arc<dyn AnyReading>) -> Arc<dyn AnyReading> {
        let Some(limit) = self.budget.note(topic, reading.total_bytes()) else {
            return reading;
        };
        for (index, other) in self.topics.iter().enumerate() {
            if index == topic {
                continue;
            }
            let cached = {
                let state = other.state_as_is();
                let cached = state.cached.as_ref();
                cached.and_then(|cached| cached.sample.data.clone())
            };
            // The list is cut without the lock, which the scheduler takes.
            let Some(data) = cached else { continue };
            let Some(cut) = self.budget.cut(&data, limit) else {
                continue;
            };
            if let Some(cached) = &mut other.state_as_is().cached
                && let Some(still) = &cached.sample.data
                && Arc::ptr_eq(still, &data)
            {
                cached.bytes = cut.total_bytes();
                cached.sample.data = Some(cut);
            }
        }
        self.budget.cut(&reading, limit).unwrap_or(reading)
    }

    /// Waits until no collection is in flight but those that hang, then ends
    /// every subscription.
    pub(super) async fn shut_down(&self) {
        self.end.close();
        for topic in &self.topics {
            topic.wait_until(|state| !state.in_flight()).await;
        }
        self.end_for(&Ended::ShutDown);
        // The sources of events are dropped with the last subscription.
        let attached = std::mem::take(&mut *lock(&self.attached));
        drop(attached);
    }

    /// Nothing is collected any more. What is published goes on, unless the
    /// bus was shut down.
    pub(super) fn end_for(&self, why: &Ended) {
        self.end.close();
        for topic in &self.topics {
            if topic.info.is_collected() || *why == Ended::ShutDown {
                topic.end(why);
            }
        }
        self.end.set(why);
        self.changed.notify_one();
    }

    /// Keeps something for as long as the bus lives and was not shut down.
    pub(super) fn attach(&self, attached: Box<dyn Any + Send>) {
        if self.end.why() != Some(Ended::ShutDown) {
            lock(&self.attached).push(attached);
        }
    }

    /// A handle of the bus or a publisher of a topic was dropped. Without any
    /// left, the subscriptions to a published metric end.
    pub(super) fn end_if_abandoned(&self, topic: &Topic) {
        if !topic.info.is_collected()
            && self.handles.load(Ordering::SeqCst) == 0
            && topic.publishers.load(Ordering::SeqCst) == 0
        {
            topic.end(&Ended::ProducerGone);
        }
    }
}

/// The earlier of two times.
pub(super) fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.changed.notify_one();
        for topic in &self.topics {
            topic.wanted.notify_waiters();
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("host", &self.origin.host)
            .field("topics", &self.topics.len())
            .finish_non_exhaustive()
    }
}
