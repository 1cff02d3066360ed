use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use super::{
    Ended,
    batch::{Batch, Job},
    core::Core,
    modes::Mode,
    options::SubscribeError,
    sync::lock,
    topic::{Cached, State, Topic, YieldedBy},
};
use crate::{
    metric::{AnySample, Kind, Missed, Sample, Status},
    source::Timestamp,
};

/// What a snapshot shall hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// The metrics; `None` is all whose kind is state.
    pub metrics: Option<Vec<String>>,
    /// How old a reading may be; `None` is the pace that was configured for the
    /// metric, by default that of its tier. Zero is a new reading, see
    /// [`fresh`](Self::fresh). A metric is not collected below its floor,
    /// however young it shall be: a reading of that age is new.
    pub max_age: Option<Duration>,
}

impl SnapshotRequest {
    /// All metrics whose kind is state.
    pub fn all() -> Self {
        Self::default()
    }

    /// These metrics.
    pub fn of<S: Into<String>>(metrics: impl IntoIterator<Item = S>) -> Self {
        Self {
            metrics: Some(metrics.into_iter().map(Into::into).collect()),
            max_age: None,
        }
    }

    /// Readings that are made for this snapshot.
    #[must_use]
    pub fn fresh(self) -> Self {
        self.max_age(Duration::ZERO)
    }

    /// Readings that are no older than this.
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        Self {
            max_age: Some(max_age),
            ..self
        }
    }
}

/// Many metrics at once, each with its own time and status.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Snapshot {
    /// The name of this host.
    pub host: Arc<str>,
    /// When the snapshot was asked for.
    #[serde(serialize_with = "crate::metric::serialize_rfc3339")]
    pub taken_at: SystemTime,
    /// The samples, by the name of the metric.
    pub metrics: BTreeMap<&'static str, AnySample>,
}

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

    let mut metrics = BTreeMap::new();
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
        metrics.insert(topic.info.name, sample);
    }
    Ok(Snapshot {
        host: Arc::clone(&core.host),
        taken_at: at.wall,
        metrics,
    })
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
            .filter(|&place| core.topics[place].info.kind == Kind::State)
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
                    Some(failing) => Arc::clone(&failing.reason),
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
                metric: self.info,
                backend: None,
                status: Status::Unavailable {
                    reason: self.why_none(),
                    since: now.wall,
                },
                taken_at: now.wall,
                monotonic_ns: now.monotonic_ns,
                window: Duration::ZERO,
                sequence: state.sequence,
                missed: Missed::NONE,
                data: None,
            },
        }
    }

    /// Why there is no newer reading although none has failed.
    fn why_none(&self) -> Arc<str> {
        match self.yielded_by {
            YieldedBy::Collector(_) => "it was not collected since".into(),
            YieldedBy::Producer => "nothing was published since".into(),
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
