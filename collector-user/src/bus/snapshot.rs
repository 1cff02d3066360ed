use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    batch::{Batch, Job},
    core::Core,
    modes::Mode,
    sync::lock,
    topic::{Cached, State, Topic, YieldedBy},
};
use crate::{
    feed::{Ended, Snapshot, SnapshotRequest, SubscribeError},
    metric::{AnySample, Kind, Reason, Sample, Status},
    source::Timestamp,
};

/// What one metric of a snapshot waits for.
enum Wanted {
    /// Nothing: it is there, or cannot be had.
    Ready(AnySample),
    /// The end of this flight.
    Flight(u64),
}

/// Takes a snapshot: what is too old is collected first, in one tick.
pub(super) async fn take(
    core: &Arc<Core>,
    request: SnapshotRequest,
) -> Result<Snapshot, SubscribeError> {
    let places = places(core, request.metrics.as_deref())?;
    if core.closing.load(Ordering::SeqCst) {
        return Err(core.ended().unwrap_or(Ended::ShutDown).into());
    }
    let now = core.timeline.now_ns();
    let at = core.clock.now();
    let mut jobs = Vec::new();
    let mut wanted = Vec::with_capacity(places.len());
    for place in places {
        let topic = &core.topics[place];
        if core.mode == Mode::Independent {
            topic.wait_until(|state| !state.in_flight()).await;
        }
        let max_age = request
            .max_age
            .map_or_else(|| topic.pace, |max_age| max_age.as_nanos() as u64);
        let (how, job) = ask(core, place, max_age, at, now);
        jobs.extend(job);
        wanted.push((topic, how));
    }
    Batch::launch(core, jobs, at, now);
    // The scheduler looks after the deadlines.
    core.changed.notify_one();

    let mut snapshot = Snapshot::new(Arc::clone(&core.origin.host), at.wall);
    for (topic, how) in wanted {
        let sample = match how {
            Wanted::Ready(sample) => sample,
            Wanted::Flight(number) => {
                let under_way = |state: &State| {
                    state
                        .flight
                        .is_some_and(|flight| flight.number == number && !flight.hung)
                };
                topic
                    .wait_until(|state| state.end.is_some() || !under_way(state))
                    .await;
                // What the collection gave is as new as can be had.
                topic.answer(&lock(&topic.state), core.clock.now(), u64::MAX)
            }
        };
        snapshot.metrics.insert(topic.metric.clone(), sample);
    }
    Ok(snapshot)
}

/// Finds out where one metric will come from, and begins its collection if
/// that is what it takes.
fn ask(core: &Core, place: usize, max_age: u64, at: Timestamp, now: u64) -> (Wanted, Option<Job>) {
    let topic = &core.topics[place];
    let mut state = lock(&topic.state);
    if core.mode != Mode::Independent {
        // A reading that may not be taken anew yet is young enough.
        let max_age = max_age.max(state.schedule.floor());
        if state.has_fresh(at, max_age) {
            state.counters.cache_hits += 1;
            return (Wanted::Ready(topic.answer(&state, at, max_age)), None);
        }
    }
    if let Some(flight) = state.flight.filter(|flight| !flight.hung) {
        state.counters.coalesced += 1;
        return (Wanted::Flight(flight.number), None);
    }
    let may_start = match core.mode {
        Mode::Bus | Mode::Cache => state.schedule.may_start(now),
        Mode::Independent => state.schedule.retry_from() <= now,
    };
    let job = may_start.then(|| core.take_off(place, &mut state, at, now));
    if let Some(job) = job.flatten() {
        return (Wanted::Flight(job.flight), Some(job));
    }
    let max_age = max_age.max(state.schedule.floor());
    (Wanted::Ready(topic.answer(&state, at, max_age)), None)
}

fn places(core: &Core, names: Option<&[String]>) -> Result<Vec<usize>, SubscribeError> {
    match names {
        Some(names) => names.iter().map(|name| core.find(name)).collect(),
        None => Ok((0..core.topics.len())
            .filter(|&place| core.topics[place].metric.kind() == Kind::State)
            .collect()),
    }
}

impl Topic {
    /// What can be said of the metric now, without collecting it.
    fn answer(&self, state: &State, now: Timestamp, max_age: u64) -> AnySample {
        match (&state.cached, &state.failing) {
            (Some(cached), failing) => {
                let age = cached.age_ns(now);
                let reason = match failing {
                    Some(failing) => failing.reason.clone(),
                    None if age > max_age => self.why_none(),
                    None => return cached.sample.clone(),
                };
                Sample {
                    status: Status::Stale {
                        age: Duration::from_nanos(age),
                        reason,
                    },
                    ..cached.sample.clone()
                }
            }
            (None, Some(failing)) => self.unavailable(failing),
            (None, None) => Sample {
                status: Status::Unavailable {
                    reason: self.why_none(),
                    since: now.wall,
                },
                sequence: state.sequence,
                ..self.empty(now)
            },
        }
    }

    /// Why there is no newer reading although none has failed.
    fn why_none(&self) -> Reason {
        match self.yielded_by {
            YieldedBy::Collector(_) => Reason::NotCollected,
            YieldedBy::Producer => Reason::NotPublished,
        }
    }
}

impl State {
    /// Whether the last reading is good enough to be given as it is.
    fn has_fresh(&self, now: Timestamp, max_age: u64) -> bool {
        self.failing.is_none()
            && self
                .cached
                .as_ref()
                .is_some_and(|cached| cached.age_ns(now) <= max_age)
    }
}

impl Cached {
    /// How long ago the reading was taken, time in suspend included.
    pub(super) fn age_ns(&self, now: Timestamp) -> u64 {
        now.boottime_ns.saturating_sub(self.boottime_ns)
    }
}
