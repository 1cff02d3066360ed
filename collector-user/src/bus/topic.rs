//! One metric on the bus: who yields it, who wants it, and its last reading.

use std::{
    any::TypeId,
    fmt,
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::{Duration, SystemTime},
};

use tokio::sync::Notify;

use super::{
    budget::Budget,
    schedule::Schedule,
    status::{Counters, Health, Provider},
    subscribers::{Delivery, Subscribers},
    taken::Taken,
};
use crate::{
    collectors::{CollectError, Collector, Cost},
    feed::Ended,
    metric::{
        AnyReading, AnySample, Backend, Metric, Missed, Origin, Reading, Reason, Sample, Status,
    },
    source::{Tick, Timestamp},
};

/// One metric on the bus.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) metric: Metric,
    /// That of the bus, once it is built.
    pub(super) origin: Arc<Origin>,
    /// The type of its readings; `None` if this build does not declare it.
    pub(super) reading: Option<TypeId>,
    pub(super) backend: Backend,
    pub(super) yielded_by: YieldedBy,
    pub(super) state: Mutex<State>,
    /// Places among the subscribers that have been given up. A lock of its
    /// own, so that a subscription can be dropped anywhere, also while a
    /// sample is being delivered.
    pub(super) given_up: Mutex<Vec<usize>>,
    /// Told when a collection has ended, or was found to hang.
    pub(super) ended: Notify,
    /// Told when somebody subscribes.
    pub(super) wanted: Arc<Notify>,
    /// The publishers of the metric.
    pub(super) publishers: AtomicUsize,
    /// The interval of who gives none, and the greatest age in a snapshot.
    pub(super) pace: u64,
}

/// Who yields the readings of a metric.
#[derive(Debug)]
pub(super) enum YieldedBy {
    /// The bus calls this collector.
    Collector(Box<Collected>),
    /// Somebody in this process publishes them.
    Producer,
}

/// A collector and what it said of itself.
pub(super) struct Collected {
    /// Locked while it collects, so always free when the topic is not in flight.
    pub(super) collector: Mutex<Box<dyn AnyCollector>>,
    pub(super) sources: &'static [&'static str],
    pub(super) cost: Cost,
    pub(super) deadline: Duration,
}

/// A [`Collector`] whose reading is not known at compile time.
pub(super) trait AnyCollector: Send {
    fn collect(&mut self, tick: &Tick) -> Result<Arc<dyn AnyReading>, CollectError>;
}

impl<C: Collector> AnyCollector for C {
    fn collect(&mut self, tick: &Tick) -> Result<Arc<dyn AnyReading>, CollectError> {
        Ok(Arc::new(Collector::collect(self, tick)?))
    }
}

/// What changes about one metric.
#[derive(Debug)]
pub(super) struct State {
    pub(super) subscribers: Subscribers,
    pub(super) schedule: Schedule,
    pub(super) cached: Option<Cached>,
    pub(super) failing: Option<Failing>,
    pub(super) flight: Option<Flight>,
    pub(super) flights: u64,
    pub(super) sequence: u64,
    pub(super) counters: Counters,
    /// When the last sample was delivered or would have been, on
    /// `CLOCK_BOOTTIME`.
    pub(super) last_sample_ns: Option<u64>,
    /// Why no more samples will come.
    pub(super) end: Option<Ended>,
}

/// The last good reading.
#[derive(Debug)]
pub(super) struct Cached {
    pub(super) sample: AnySample,
    /// When it was taken, on `CLOCK_BOOTTIME`.
    pub(super) boottime_ns: u64,
    pub(super) bytes: usize,
}

/// Why there is no newer reading.
#[derive(Clone, Debug)]
pub(super) struct Failing {
    pub(super) reason: Reason,
    pub(super) since: SystemTime,
    /// The sequence and the time of the last attempt.
    pub(super) sequence: u64,
    pub(super) tried: Timestamp,
    pub(super) origin: Arc<Origin>,
}

/// Who gets a sample.
#[derive(Clone, Copy, Debug)]
pub(super) enum Recipients {
    /// All who are due at this time.
    DueAt(u64),
    /// One, who was due at this time.
    One { place: usize, now: u64 },
}

impl Recipients {
    fn now(self) -> u64 {
        match self {
            Self::DueAt(now) | Self::One { now, .. } => now,
        }
    }
}

/// A collection that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) number: u64,
    /// When a thread was asked to begin it, and which time that is on samples.
    pub(super) asked: u64,
    pub(super) asked_at: Timestamp,
    /// When a thread began it.
    pub(super) began: Option<u64>,
    /// It has passed its deadline.
    pub(super) hung: bool,
}

impl Flight {
    /// When it has taken longer than it may, to begin or to end.
    pub(super) fn deadline(&self, deadline: Duration) -> u64 {
        let since = self.began.unwrap_or(self.asked);
        since.saturating_add(deadline.as_nanos() as u64)
    }
}

impl Topic {
    pub(super) fn collected<C: Collector>(collector: C) -> Self {
        let floor = collector.floor();
        let backend = collector.backend();
        let collected = Collected {
            sources: collector.sources(),
            cost: collector.cost(),
            deadline: collector.deadline(),
            collector: Mutex::new(Box::new(collector)),
        };
        let yielded_by = YieldedBy::Collector(Box::new(collected));
        let reading = TypeId::of::<C::Reading>();
        let metric = Metric::of::<C::Reading>();
        Self::new(metric, Some(reading), backend, yielded_by, floor)
    }

    pub(super) fn published<R: Reading>(backend: Backend) -> Self {
        Self {
            reading: Some(TypeId::of::<R>()),
            ..Self::published_any(Metric::of::<R>(), backend)
        }
    }

    pub(super) fn published_any(metric: Metric, backend: Backend) -> Self {
        Self::new(metric, None, backend, YieldedBy::Producer, Duration::ZERO)
    }

    fn new(
        metric: Metric,
        reading: Option<TypeId>,
        backend: Backend,
        yielded_by: YieldedBy,
        floor: Duration,
    ) -> Self {
        Self {
            pace: metric.tier().default_interval().as_nanos() as u64,
            metric,
            origin: Origin::unknown(),
            reading,
            backend,
            yielded_by,
            state: Mutex::new(State {
                subscribers: Subscribers::default(),
                schedule: Schedule::new(floor),
                cached: None,
                failing: None,
                flight: None,
                flights: 0,
                sequence: 0,
                counters: Counters::default(),
                last_sample_ns: None,
                end: None,
            }),
            given_up: Mutex::new(Vec::new()),
            ended: Notify::new(),
            wanted: Arc::default(),
            publishers: AtomicUsize::new(0),
        }
    }

    /// The name of the metric, if this build declares it, as it does of each
    /// that a collector yields.
    pub(super) fn declared(&self) -> Option<&'static str> {
        self.metric.info().map(|info| info.name)
    }

    pub(super) fn provider(&self) -> Provider {
        match self.yielded_by {
            YieldedBy::Collector(_) => Provider::Collector,
            YieldedBy::Producer => Provider::Producer,
        }
    }

    /// A sample of this metric without anything.
    pub(super) fn empty(&self, at: Timestamp) -> AnySample {
        Sample {
            origin: Arc::clone(&self.origin),
            ..Sample::empty(self.metric.clone(), at.wall, at.monotonic_ns)
        }
    }

    /// A sample with a reading.
    pub(super) fn sample(
        &self,
        reading: Arc<dyn AnyReading>,
        taken: Taken,
        sequence: u64,
    ) -> AnySample {
        Sample {
            backend: Some(self.backend),
            window: taken.window,
            sequence,
            data: Some(reading),
            ..self.empty(taken.at)
        }
    }

    /// A sample that only tells what was missed.
    pub(super) fn gap(&self, state: &State, missed: Missed, at: Timestamp) -> AnySample {
        Sample {
            backend: Some(self.backend),
            sequence: state.sequence,
            missed,
            ..self.empty(at)
        }
    }

    /// A sample that says why there is no reading.
    pub(super) fn unavailable(&self, failing: &Failing) -> AnySample {
        Sample {
            status: Status::Unavailable {
                reason: failing.reason.clone(),
                since: failing.since,
            },
            sequence: failing.sequence,
            origin: Arc::clone(&failing.origin),
            ..self.empty(failing.tried)
        }
    }
}

impl State {
    /// Caches and delivers a reading.
    pub(super) fn succeed(
        &mut self,
        topic: &Topic,
        reading: Arc<dyn AnyReading>,
        taken: Taken,
        to: Recipients,
        budget: &Budget,
    ) {
        self.sequence += 1;
        self.schedule.succeeded();
        if self.failing.take().is_some() {
            tracing::info!(metric = topic.metric.name(), "the metric is back");
        }
        let bytes = reading.total_bytes();
        let sample = topic.sample(reading, taken, self.sequence);
        self.last_sample_ns = Some(taken.at.boottime_ns);
        self.deliver(Delivery::new(&sample, bytes, budget), to);
        self.cached = Some(Cached {
            sample,
            boottime_ns: taken.at.boottime_ns,
            bytes,
        });
    }

    /// Caches and delivers a sample as it is, which was made at another time or
    /// by another bus. It counts as new now, at `at`.
    pub(super) fn publish(
        &mut self,
        mut sample: AnySample,
        at: Timestamp,
        to: Recipients,
        budget: &Budget,
    ) {
        self.sequence = sample.sequence;
        self.last_sample_ns = Some(at.boottime_ns);
        let bytes = sample.data.as_ref().map_or(0, |data| data.total_bytes());
        if let Status::Unavailable { reason, since } = &sample.status {
            self.failing = Some(Failing {
                reason: reason.clone(),
                since: *since,
                sequence: sample.sequence,
                origin: Arc::clone(&sample.origin),
                tried: Timestamp {
                    wall: sample.taken_at,
                    monotonic_ns: sample.monotonic_ns,
                    boottime_ns: at.boottime_ns,
                },
            });
        } else {
            self.failing = None;
        }
        self.deliver(Delivery::new(&sample, bytes, budget), to);
        sample.missed = Missed::NONE;
        if sample.data.is_some() {
            self.cached = Some(Cached {
                sample,
                boottime_ns: at.boottime_ns,
                bytes,
            });
        }
    }

    /// Notes and delivers that there is no reading.
    pub(super) fn fail(
        &mut self,
        topic: &Topic,
        reason: Reason,
        at: Timestamp,
        to: Recipients,
        budget: &Budget,
    ) {
        self.sequence += 1;
        self.schedule.failed(to.now());
        let since = if let Some(failing) = &self.failing {
            failing.since
        } else {
            tracing::warn!(
                metric = topic.metric.name(),
                %reason,
                "the metric is unavailable"
            );
            at.wall
        };
        let failing = Failing {
            reason,
            since,
            sequence: self.sequence,
            origin: Arc::clone(&topic.origin),
            tried: at,
        };
        let sample = topic.unavailable(&failing);
        self.failing = Some(failing);
        self.last_sample_ns = Some(at.boottime_ns);
        self.deliver(Delivery::new(&sample, 0, budget), to);
    }

    pub(super) fn deliver(&mut self, delivery: Delivery<'_>, to: Recipients) {
        let delivered = match to {
            Recipients::DueAt(now) => self.subscribers.deliver(delivery, now),
            Recipients::One { place, now } => self.subscribers.deliver_to(place, delivery, now),
        };
        self.counters.deliveries += delivered.samples;
        self.counters.dropped += delivered.lost;
    }

    pub(super) fn health(&self) -> Health {
        match (&self.flight, &self.failing) {
            (Some(flight), _) if flight.hung && flight.began.is_some() => Health::Hung,
            (Some(flight), _) if flight.hung => Health::NotStarted,
            (_, Some(_)) => Health::Failing,
            (_, None) if self.cached.is_some() => Health::Ok,
            _ => Health::Unknown,
        }
    }
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collected")
            .field("sources", &self.sources)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}
