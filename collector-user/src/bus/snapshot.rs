use std::sync::Arc;

use super::{batch::Batch, collection::Job, core::Core, state::State};
use crate::{
    feed::{Ended, Snapshot, SnapshotRequest, SubscribeError},
    metric::{AnySample, Kind},
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
    let topics = topics(core, request.metrics.as_deref())?;
    if core.end.is_closing() {
        return Err(core.end.why().unwrap_or(Ended::ShutDown).into());
    }
    let now = core.timeline.now_ns();
    let at = core.clock.now();
    let mut jobs = Vec::new();
    let mut wanted = Vec::with_capacity(topics.len());
    for index in topics {
        let topic = &core.topics[index];
        if !core.sharing.shares_readings() {
            topic.wait_until(|state| !state.in_flight()).await;
        }
        let max_age = request
            .max_age
            .map_or_else(|| topic.info.pace, |max_age| max_age.as_nanos() as u64);
        let (how, job) = ask(core, index, max_age, at, now);
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
                // There is nothing newer than what this collection gave.
                let state = topic.state_as_is();
                state.answer(&topic.info, core.clock.now(), u64::MAX)
            }
        };
        snapshot.metrics.insert(topic.info.metric.clone(), sample);
    }
    Ok(snapshot)
}

/// Finds out where one metric will come from, and begins its collection if
/// that is what it takes.
fn ask(core: &Core, index: usize, max_age: u64, at: Timestamp, now: u64) -> (Wanted, Option<Job>) {
    let topic = &core.topics[index];
    let mut state = topic.state_as_is();
    if core.sharing.shares_readings() {
        // A reading that may not be taken anew yet is young enough.
        let max_age = max_age.max(state.schedule.floor());
        if state.has_fresh(at, max_age) {
            state.counters.cache_hits += 1;
            return (Wanted::Ready(state.answer(&topic.info, at, max_age)), None);
        }
    }
    if let Some(flight) = state.flight.filter(|flight| !flight.hung) {
        state.counters.coalesced += 1;
        return (Wanted::Flight(flight.number), None);
    }
    let may_start = if core.sharing.shares_readings() {
        state.schedule.may_start(now)
    } else {
        state.schedule.retry_from() <= now
    };
    let job = may_start.then(|| core.start_collection(index, &mut state, at, now));
    if let Some(job) = job.flatten() {
        return (Wanted::Flight(job.flight), Some(job));
    }
    let max_age = max_age.max(state.schedule.floor());
    (Wanted::Ready(state.answer(&topic.info, at, max_age)), None)
}

fn topics(core: &Core, names: Option<&[String]>) -> Result<Vec<usize>, SubscribeError> {
    match names {
        Some(names) => names.iter().map(|name| core.find(name)).collect(),
        None => Ok((0..core.topics.len())
            .filter(|&index| core.topics[index].info.metric.kind() == Kind::State)
            .collect()),
    }
}
