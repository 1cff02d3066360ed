//! The two ways to do without a bus, to measure what it saves.

use super::{
    batch::Job,
    core::Core,
    subscribers::Delivery,
    topic::{Recipients, State, YieldedBy},
};
use crate::source::Timestamp;

/// Who begins a collection, and who shares it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The bus begins it; all subscribers share it, and metrics that are due
    /// together share what they read.
    #[default]
    Bus,
    /// The subscriber that is due begins it, unless the last reading is
    /// younger than its interval; then it gets that. Metrics share nothing.
    Cache,
    /// Each subscriber, and each snapshot, begins its own, and nothing is
    /// shared. Since there is one collector a metric, they do so in turn.
    Independent,
}

/// What [`Mode::Cache`] begins of one metric, and when it is due next.
pub(super) fn on_demand(
    core: &Core,
    place: usize,
    state: &mut State,
    at: Timestamp,
    now: u64,
) -> (Option<Job>, Option<u64>) {
    if !may_begin(core, place, state) {
        return (None, None);
    }
    if let Some(wait) = backing_off(state, now) {
        return (None, Some(wait));
    }
    let Some(shortest) = state.subscribers.shortest_interval_due(now) else {
        return (None, state.subscribers.next_due());
    };
    // A tenth of slack, or the caller that comes a little less late than the
    // time before would find its own last reading still young enough.
    let young = shortest - shortest / 10;
    let fresh = match &state.cached {
        Some(cached) if state.failing.is_none() && cached.age_ns(at) < young => {
            Some(cached.sample.clone())
        }
        _ => None,
    };
    if let Some(sample) = fresh {
        let before = state.counters.deliveries;
        let bytes = state.cached.as_ref().map_or(0, |cached| cached.bytes);
        let delivery = Delivery::new(&sample, bytes, &core.budget);
        state.deliver(delivery, Recipients::DueAt(now));
        state.counters.cache_hits += state.counters.deliveries - before;
        return (None, state.subscribers.next_due());
    }
    (core.take_off(place, state, at, now), None)
}

/// What [`Mode::Independent`] begins of one metric, and when it is due next.
pub(super) fn each_alone(
    core: &Core,
    place: usize,
    state: &mut State,
    at: Timestamp,
    now: u64,
) -> (Option<Job>, Option<u64>) {
    if !may_begin(core, place, state) {
        return (None, None);
    }
    if let Some(wait) = backing_off(state, now) {
        return (None, Some(wait));
    }
    let each = state.subscribers.places_due(now);
    if each.is_empty() {
        return (None, state.subscribers.next_due());
    }
    let more = each.len() as u64 - 1;
    let job = core.take_off(place, state, at, now);
    if job.is_some() {
        state.counters.collections += more;
    }
    (job.map(|job| Job { each, ..job }), None)
}

/// Whether a subscriber can cause a collection now. While one is under way,
/// its end is what comes next.
fn may_begin(core: &Core, place: usize, state: &State) -> bool {
    let collected = matches!(core.topics[place].yielded_by, YieldedBy::Collector(_));
    collected && state.flight.is_none()
}

fn backing_off(state: &State, now: u64) -> Option<u64> {
    let until = state.schedule.retry_from();
    (state.subscribers.len() > 0 && until > now).then_some(until)
}
