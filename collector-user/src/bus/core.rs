//! What all handles of one bus share.

use std::{
    any::Any,
    fmt,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use super::{
    batch::{Batch, Concluded, Job, Outcome},
    budget::Budget,
    modes::Mode,
    sync::lock,
    timeline::Timeline,
    topic::{Flight, Recipients, State, Topic, YieldedBy},
    workers::Workers,
};
use crate::{
    collectors::CollectError,
    feed::{Ended, SubscribeError},
    metric::{Origin, Reason},
    source::{Clock, SourceError, Sources, Timestamp},
};

/// What all handles of one bus share. It ends with the last of them.
pub(super) struct Core {
    /// By tier and name.
    pub(super) topics: Box<[Topic]>,
    pub(super) mode: Mode,
    pub(super) budget: Budget,
    pub(super) sources: Sources,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timeline: Timeline,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) workers: Workers,
    pub(super) origin: Arc<Origin>,
    /// Tells the scheduler to look again.
    pub(super) changed: Arc<Notify>,
    /// No collection begins any more.
    pub(super) closing: AtomicBool,
    pub(super) ticks: AtomicU64,
    /// When the scheduler last looked at what is due, on `CLOCK_BOOTTIME`; 0 if
    /// it has not yet.
    pub(super) last_step_ns: AtomicU64,
    /// Handles of the bus, with which publishers can be made.
    pub(super) handles: AtomicUsize,
    /// Why nothing is collected any more, and who waits for that.
    end: Mutex<Option<Ended>>,
    has_ended: Notify,
    /// What lives as long as the bus does.
    attached: Mutex<Vec<Box<dyn Any + Send>>>,
    batches: Mutex<Vec<Weak<Batch>>>,
}

impl Core {
    pub(super) fn new(
        topics: Box<[Topic]>,
        mode: Mode,
        cache_bytes: usize,
        sources: Sources,
        clock: Arc<dyn Clock>,
        runtime: tokio::runtime::Handle,
        origin: Arc<Origin>,
    ) -> Self {
        Self {
            budget: Budget::new(cache_bytes, topics.len()),
            topics,
            mode,
            sources,
            timeline: Timeline::starting_at(clock.now().monotonic_ns),
            clock,
            runtime,
            workers: Workers::new(),
            origin,
            changed: Arc::new(Notify::new()),
            closing: AtomicBool::new(false),
            ticks: AtomicU64::new(0),
            last_step_ns: AtomicU64::new(0),
            handles: AtomicUsize::new(0),
            end: Mutex::new(None),
            has_ended: Notify::new(),
            attached: Mutex::default(),
            batches: Mutex::new(Vec::new()),
        }
    }

    /// The place of a metric.
    pub(super) fn find(&self, name: &str) -> Result<usize, SubscribeError> {
        self.topics
            .iter()
            .position(|topic| topic.metric.name() == name)
            .ok_or_else(|| SubscribeError::UnknownMetric {
                name: name.to_owned(),
                known: self.names(),
            })
    }

    /// The names of the metrics.
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.topics.iter().map(|topic| topic.metric.name());
        names.map(str::to_owned).collect()
    }

    /// Marks a metric as in flight, if it is collected and may be now. The
    /// caller launches the job.
    pub(super) fn take_off(
        &self,
        place: usize,
        state: &mut State,
        at: Timestamp,
        now: u64,
    ) -> Option<Job> {
        if matches!(self.topics[place].yielded_by, YieldedBy::Producer) {
            return None;
        }
        if state.flight.is_some() || self.closing.load(Ordering::SeqCst) {
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
            topic: place,
            flight: state.flights,
            each: Vec::new(),
        })
    }

    /// A thread begins a collection. One that has waited for a thread longer
    /// than it may take was told as such, and has all its time now.
    pub(super) fn begin(&self, topic: &Topic, flight: u64) {
        let mut state = lock(&topic.state);
        if let Some(own) = state.flight.as_mut().filter(|own| own.number == flight) {
            own.began = Some(self.timeline.now_ns());
            if std::mem::take(&mut own.hung) {
                self.changed.notify_one();
            }
        }
    }

    /// A collection has ended.
    pub(super) fn finish(&self, topic: &Topic, ended: Concluded, to: Recipients) {
        let mut state = lock(&topic.state);
        let Some(flight) = state.flight.filter(|flight| flight.number == ended.flight) else {
            return;
        };
        if ended.last {
            state.flight = None;
        }
        let took = ended.took;
        state.counters.took(took);
        if flight.hung {
            // Its subscribers were told long ago. What it read then is old by
            // now, so it is collected anew.
            tracing::info!(
                metric = topic.metric.name(),
                ?took,
                "a hung collection returned"
            );
        } else {
            state.prune(topic, self.timeline.now_ns());
            state.conclude(topic, ended, to, &self.budget);
        }
        drop(state);
        topic.ended.notify_waiters();
        if flight.hung || self.mode != Mode::Bus {
            self.changed.notify_one();
        }
    }

    pub(super) fn note_batch(&self, batch: &Arc<Batch>, ticks: u64) {
        self.ticks.fetch_add(ticks, Ordering::Relaxed);
        lock(&self.batches).push(Arc::downgrade(batch));
    }

    /// Helps the batches that have stalled; the answer is when to look again.
    pub(super) fn unstall(&self, now: u64) -> Option<u64> {
        let mut next = None;
        lock(&self.batches).retain(|batch| {
            let Some(batch) = batch.upgrade() else {
                return false;
            };
            let again = batch.unstall(now);
            next = earlier(next, again);
            again.is_some()
        });
        next
    }

    /// Waits until no collection is in flight but those that hang, then ends
    /// every subscription.
    pub(super) async fn shut_down(&self) {
        self.closing.store(true, Ordering::SeqCst);
        for topic in &self.topics {
            topic.wait_until(|state| !state.in_flight()).await;
        }
        self.end(&Ended::ShutDown);
        // What produces events lives no longer than anybody can receive them.
        let attached = std::mem::take(&mut *lock(&self.attached));
        drop(attached);
    }

    /// Nothing is collected any more. What is published goes on, unless the
    /// bus was shut down.
    pub(super) fn end(&self, why: &Ended) {
        self.closing.store(true, Ordering::SeqCst);
        for topic in &self.topics {
            let collected = matches!(topic.yielded_by, YieldedBy::Collector(_));
            if collected || *why == Ended::ShutDown {
                topic.end(why);
            }
        }
        lock(&self.end).get_or_insert_with(|| why.clone());
        self.has_ended.notify_waiters();
        self.changed.notify_one();
    }

    /// Why nothing is collected any more; `None` while the bus runs.
    pub(super) fn ended(&self) -> Option<Ended> {
        lock(&self.end).clone()
    }

    /// Waits until nothing is collected any more.
    pub(super) async fn wait_for_end(&self) -> Ended {
        wait_for(&self.has_ended, || self.ended()).await
    }

    /// Keeps something for as long as the bus lives and was not shut down.
    pub(super) fn attach(&self, attached: Box<dyn Any + Send>) {
        if self.ended() != Some(Ended::ShutDown) {
            lock(&self.attached).push(attached);
        }
    }

    /// A handle of the bus or a publisher of a topic has gone. Where nobody can
    /// publish any more, the subscribers are told.
    pub(super) fn end_if_abandoned(&self, topic: &Topic) {
        if matches!(topic.yielded_by, YieldedBy::Producer)
            && self.handles.load(Ordering::SeqCst) == 0
            && topic.publishers.load(Ordering::SeqCst) == 0
        {
            topic.end(&Ended::ProducerGone);
        }
    }
}

impl Topic {
    /// No more samples will come. What told so first stays the reason.
    fn end(&self, why: &Ended) {
        let mut state = lock(&self.state);
        state.end.get_or_insert_with(|| why.clone());
        state.subscribers.end(why);
        drop(state);
        self.ended.notify_waiters();
        self.wanted.notify_waiters();
    }

    /// Waits for something that becomes true when a collection ends or is
    /// found to hang.
    pub(super) async fn wait_until(&self, mut done: impl FnMut(&State) -> bool) {
        wait_for(&self.ended, || done(&lock(&self.state)).then_some(())).await;
    }
}

impl State {
    /// Tells the subscribers how a collection ended.
    fn conclude(&mut self, topic: &Topic, ended: Concluded, to: Recipients, budget: &Budget) {
        match ended.outcome {
            Outcome::Reading(reading) => self.succeed(topic, reading, ended.taken, to, budget),
            Outcome::Error(error) => {
                self.counters.failures += 1;
                self.fail(topic, reason_of(&error), ended.taken.at, to, budget);
            }
            Outcome::Panic(message) => {
                self.counters.failures += 1;
                self.counters.panics += 1;
                let reason = Reason::Panicked(message);
                self.fail(topic, reason, ended.taken.at, to, budget);
            }
        }
    }

    /// Forgets the subscribers that have gone.
    pub(super) fn prune(&mut self, topic: &Topic, now: u64) {
        let given_up = std::mem::take(&mut *lock(&topic.given_up));
        for place in given_up {
            if let Some(interval) = self.subscribers.remove(place)
                && matches!(topic.yielded_by, YieldedBy::Collector(_))
            {
                let given_up = self.schedule.unwant(interval, now);
                self.keep_if_awaited(given_up, now);
            }
        }
    }

    /// The pace has changed, and a due time was given up for a later one. Who
    /// has waited for it already would get its next sample too late.
    pub(super) fn keep_if_awaited(&mut self, given_up: Option<u64>, now: u64) {
        if let Some(planned) = given_up
            && self.subscribers.any_due(now)
        {
            self.schedule.keep(planned);
        }
    }

    /// Calls a collection hung if it has passed its deadline. It keeps its
    /// thread until it returns, and until then no other is begun.
    pub(super) fn check_deadline(&mut self, topic: &Topic, now: u64, budget: &Budget) {
        if self
            .next_deadline(topic)
            .is_none_or(|deadline| deadline > now)
        {
            return;
        }
        let (Some(flight), YieldedBy::Collector(collected)) = (&mut self.flight, &topic.yielded_by)
        else {
            return;
        };
        flight.hung = true;
        let reason = if flight.began.is_some() {
            self.counters.hung += 1;
            Reason::Hung(collected.deadline)
        } else {
            self.counters.not_started += 1;
            Reason::NotStarted(collected.deadline)
        };
        let at = flight.asked_at;
        self.fail(topic, reason, at, Recipients::DueAt(now), budget);
        topic.ended.notify_waiters();
    }

    /// When the collection that is under way will have passed its deadline.
    pub(super) fn next_deadline(&self, topic: &Topic) -> Option<u64> {
        let YieldedBy::Collector(collected) = &topic.yielded_by else {
            return None;
        };
        let flight = self.flight.filter(|flight| !flight.hung)?;
        Some(flight.deadline(collected.deadline))
    }

    /// Whether a collection is under way that may still end in time.
    pub(super) fn in_flight(&self) -> bool {
        self.flight.is_some_and(|flight| !flight.hung)
    }
}

/// The reason that subscribers get for an error of a collector.
fn reason_of(error: &CollectError) -> Reason {
    let text = error.to_string().into();
    match error {
        CollectError::Source(error) if error.is_permission_denied() => Reason::NoPermission(text),
        CollectError::Unsupported(_) | CollectError::Source(SourceError::NoOpenat2 { .. }) => {
            Reason::Unsupported(text)
        }
        CollectError::Source(_) | CollectError::Failed(_) => Reason::Failed(text),
    }
}

/// Waits until there is an answer, which may be whenever `told` is notified.
async fn wait_for<T>(told: &Notify, mut answer: impl FnMut() -> Option<T>) -> T {
    loop {
        let notified = told.notified();
        let mut notified = std::pin::pin!(notified);
        // Before it is asked, or an answer that comes in between is missed.
        notified.as_mut().enable();
        if let Some(answer) = answer() {
            return answer;
        }
        notified.await;
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
