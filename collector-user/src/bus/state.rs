//! What changes about one metric: its subscribers, its schedule, its last
//! reading, and the collection that is under way.

use std::{sync::Arc, time::SystemTime};

use super::{
    budget::Budget,
    collection::{Finished, Outcome, Recipients, reason_of},
    counters::Counters,
    flight::Flight,
    health::Health,
    schedule::Schedule,
    subscribers::{Outgoing, Subscribers},
    taken::Taken,
    topic_info::TopicInfo,
};
use crate::{
    feed::Ended,
    metric::{AnyReading, AnySample, Missed, Origin, Reason, Sample, Status},
    source::Timestamp,
};

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
    /// The sequence, the time and the origin of the last attempt.
    pub(super) sequence: u64,
    pub(super) tried: Timestamp,
    pub(super) origin: Arc<Origin>,
}

impl Cached {
    /// How long ago the reading was taken, time in suspend included.
    pub(super) fn age_ns(&self, now: Timestamp) -> u64 {
        now.boottime_ns.saturating_sub(self.boottime_ns)
    }
}

impl Failing {
    /// A sample that says why there is no reading.
    pub(super) fn sample(&self, info: &TopicInfo) -> AnySample {
        Sample {
            status: Status::Unavailable {
                reason: self.reason.clone(),
                since: self.since,
            },
            sequence: self.sequence,
            origin: Arc::clone(&self.origin),
            ..info.empty(self.tried)
        }
    }
}

impl State {
    pub(super) fn new(info: &TopicInfo) -> Self {
        Self {
            subscribers: Subscribers::default(),
            schedule: Schedule::new(info.floor()),
            cached: None,
            failing: None,
            flight: None,
            flights: 0,
            sequence: 0,
            counters: Counters::default(),
            last_sample_ns: None,
            end: None,
        }
    }

    /// Whether a collection is under way that may still end in time.
    pub(super) fn in_flight(&self) -> bool {
        self.flight.is_some_and(|flight| !flight.hung)
    }

    /// Whether the last reading is good enough to be given as it is.
    pub(super) fn has_fresh(&self, now: Timestamp, max_age: u64) -> bool {
        self.failing.is_none()
            && self
                .cached
                .as_ref()
                .is_some_and(|cached| cached.age_ns(now) <= max_age)
    }

    /// The sample of the metric now, without a collection.
    pub(super) fn answer(&self, info: &TopicInfo, now: Timestamp, max_age: u64) -> AnySample {
        let outdated = if info.is_collected() {
            Reason::NotCollected
        } else {
            Reason::NotPublished
        };
        match (&self.cached, &self.failing) {
            (Some(cached), failing) => {
                let age = cached.age_ns(now);
                let reason = match failing {
                    Some(failing) => failing.reason.clone(),
                    None if age > max_age => outdated,
                    None => return cached.sample.clone(),
                };
                Sample {
                    status: Status::Stale {
                        age: std::time::Duration::from_nanos(age),
                        reason,
                    },
                    ..cached.sample.clone()
                }
            }
            (None, Some(failing)) => failing.sample(info),
            (None, None) => Sample {
                status: Status::Unavailable {
                    reason: outdated,
                    since: now.wall,
                },
                sequence: self.sequence,
                ..info.empty(now)
            },
        }
    }

    /// Removes subscriptions that were dropped.
    pub(super) fn remove(&mut self, info: &TopicInfo, subscribers: Vec<usize>, now: u64) {
        for subscriber in subscribers {
            if let Some(interval) = self.subscribers.remove(subscriber)
                && info.is_collected()
            {
                let given_up = self.schedule.remove_interval(interval, now);
                self.keep_if_awaited(given_up, now);
            }
        }
    }

    /// The pace has changed, and a due time was given up for a later one. A
    /// subscriber that has waited for it already would get its next sample too
    /// late.
    pub(super) fn keep_if_awaited(&mut self, given_up: Option<u64>, now: u64) {
        if let Some(planned) = given_up
            && self.subscribers.any_due(now)
        {
            self.schedule.keep(planned);
        }
    }

    /// Delivers the outcome of a collection.
    pub(super) fn conclude(
        &mut self,
        info: &TopicInfo,
        finished: Finished,
        to: Recipients,
        budget: &Budget,
    ) {
        let taken = finished.taken;
        match finished.outcome {
            Outcome::Reading(reading) => self.succeed(info, reading, taken, to, budget),
            Outcome::Error(error) => {
                self.counters.failures += 1;
                self.fail(info, reason_of(&error), taken.at, to, budget);
            }
            Outcome::Panic(message) => {
                self.counters.failures += 1;
                self.counters.panics += 1;
                self.fail(info, Reason::Panicked(message), taken.at, to, budget);
            }
        }
    }

    /// Marks a collection as hung if it has passed its deadline, and returns
    /// whether it has. It keeps its thread until it returns, and until then no other is
    /// begun.
    pub(super) fn check_deadline(&mut self, info: &TopicInfo, now: u64, budget: &Budget) -> bool {
        if self
            .next_deadline(info)
            .is_none_or(|deadline| deadline > now)
        {
            return false;
        }
        let (Some(flight), Some(collected)) = (&mut self.flight, info.collected()) else {
            return false;
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
        self.fail(info, reason, at, Recipients::DueAt(now), budget);
        true
    }

    /// When the collection that is under way will have passed its deadline.
    pub(super) fn next_deadline(&self, info: &TopicInfo) -> Option<u64> {
        let flight = self.flight.filter(|flight| !flight.hung)?;
        Some(flight.deadline(info.collected()?.deadline))
    }

    /// Caches and delivers a reading.
    pub(super) fn succeed(
        &mut self,
        info: &TopicInfo,
        reading: Arc<dyn AnyReading>,
        taken: Taken,
        to: Recipients,
        budget: &Budget,
    ) {
        self.sequence += 1;
        self.schedule.succeeded();
        if self.failing.take().is_some() {
            tracing::info!(metric = info.metric.name(), "the metric is back");
        }
        let bytes = reading.total_bytes();
        let sample = info.sample(reading, taken, self.sequence);
        self.last_sample_ns = Some(taken.at.boottime_ns);
        self.deliver(Outgoing::new(&sample, bytes, budget), to);
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
        self.failing = match &sample.status {
            Status::Unavailable { reason, since } => Some(Failing {
                reason: reason.clone(),
                since: *since,
                sequence: sample.sequence,
                origin: Arc::clone(&sample.origin),
                tried: Timestamp {
                    wall: sample.taken_at,
                    monotonic_ns: sample.monotonic_ns,
                    boottime_ns: at.boottime_ns,
                },
            }),
            Status::Ok | Status::Stale { .. } => None,
        };
        self.deliver(Outgoing::new(&sample, bytes, budget), to);
        sample.missed = Missed::NONE;
        if sample.data.is_some() {
            self.cached = Some(Cached {
                sample,
                boottime_ns: at.boottime_ns,
                bytes,
            });
        }
    }

    /// Caches and delivers that there is no reading.
    pub(super) fn fail(
        &mut self,
        info: &TopicInfo,
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
                metric = info.metric.name(),
                %reason,
                "the metric is unavailable"
            );
            at.wall
        };
        let failing = Failing {
            reason,
            since,
            sequence: self.sequence,
            tried: at,
            origin: Arc::clone(&info.origin),
        };
        let sample = failing.sample(info);
        self.failing = Some(failing);
        self.last_sample_ns = Some(at.boottime_ns);
        self.deliver(Outgoing::new(&sample, 0, budget), to);
    }

    pub(super) fn deliver(&mut self, outgoing: Outgoing<'_>, to: Recipients) {
        let delivered = match to {
            Recipients::DueAt(now) => self.subscribers.deliver(outgoing, now),
            Recipients::One { subscriber, now } => {
                self.subscribers.deliver_to(subscriber, outgoing, now)
            }
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
