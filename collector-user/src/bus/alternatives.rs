//! The two ways to do without a bus, which exist to be measured beside it.

use super::{
    builder::BusBuilder,
    collection::{Job, Recipients},
    core::{Core, Sharing},
    mode::Mode,
    scheduler::Shared,
    state::State,
    subscribers::Outgoing,
};
use crate::source::Timestamp;

impl BusBuilder {
    /// What begins collections and what they share; [`Mode::Bus`] unless set.
    /// For measurements.
    #[doc(hidden)]
    #[must_use]
    pub fn mode(self, mode: Mode) -> Self {
        self.sharing(match mode {
            Mode::Bus => Box::new(Shared),
            Mode::Cache => Box::new(Cache),
            Mode::Independent => Box::new(Independent),
        })
    }
}

/// [`Mode::Cache`].
#[derive(Debug)]
struct Cache;

/// [`Mode::Independent`].
#[derive(Debug)]
struct Independent;

impl Sharing for Cache {
    fn mode(&self) -> Mode {
        Mode::Cache
    }

    fn begin(
        &self,
        core: &Core,
        topic: usize,
        state: &mut State,
        at: Timestamp,
        now: u64,
    ) -> (Option<Job>, Option<u64>) {
        if !may_begin(core, topic, state) {
            return (None, None);
        }
        if let Some(wait) = backing_off(state, now) {
            return (None, Some(wait));
        }
        let Some(shortest) = state.subscribers.shortest_interval_due(now) else {
            return (None, state.subscribers.next_due());
        };
        // A tenth of slack, or a caller that is a little less late than the
        // time before would find its own last reading still young enough.
        let young = shortest - shortest / 10;
        let fresh = match &state.cached {
            Some(cached) if state.failing.is_none() && cached.age_ns(at) < young => {
                Some((cached.sample.clone(), cached.bytes))
            }
            _ => None,
        };
        if let Some((sample, bytes)) = fresh {
            let before = state.counters.deliveries;
            let outgoing = Outgoing::new(&sample, bytes, &core.budget);
            state.deliver(outgoing, Recipients::DueAt(now));
            state.counters.cache_hits += state.counters.deliveries - before;
            return (None, state.subscribers.next_due());
        }
        (core.start_collection(topic, state, at, now), None)
    }

    fn shares_reads(&self) -> bool {
        false
    }

    fn shares_readings(&self) -> bool {
        true
    }

    fn is_aligned(&self) -> bool {
        false
    }
}

impl Sharing for Independent {
    fn mode(&self) -> Mode {
        Mode::Independent
    }

    fn begin(
        &self,
        core: &Core,
        topic: usize,
        state: &mut State,
        at: Timestamp,
        now: u64,
    ) -> (Option<Job>, Option<u64>) {
        if !may_begin(core, topic, state) {
            return (None, None);
        }
        if let Some(wait) = backing_off(state, now) {
            return (None, Some(wait));
        }
        let each = state.subscribers.due(now);
        if each.is_empty() {
            return (None, state.subscribers.next_due());
        }
        let more = each.len() as u64 - 1;
        let job = core.start_collection(topic, state, at, now);
        if job.is_some() {
            state.counters.collections += more;
        }
        (job.map(|job| Job { each, ..job }), None)
    }

    fn shares_reads(&self) -> bool {
        false
    }

    fn shares_readings(&self) -> bool {
        false
    }

    fn is_aligned(&self) -> bool {
        false
    }
}

/// Whether a subscriber can cause a collection now. While one is under way,
/// its end is what comes next.
fn may_begin(core: &Core, topic: usize, state: &State) -> bool {
    core.topics[topic].info.is_collected() && state.flight.is_none()
}

fn backing_off(state: &State, now: u64) -> Option<u64> {
    let until = state.schedule.retry_from();
    (state.subscribers.len() > 0 && until > now).then_some(until)
}
