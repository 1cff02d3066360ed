//! How a subscriber comes to a metric of the bus, and leaves it.

use std::{sync::Arc, time::Duration};

use super::{
    core::Core,
    state::State,
    subscribers::{Outgoing, Pacing, Timing},
    topic_info::TopicInfo,
};
use crate::{
    feed::{AnySubscription, Mailbox, Slot, SubscribeError, SubscribeOptions, Upstream},
    metric::{AnySample, Kind, Missed},
};

/// Subscribes to the metric with this index.
pub(super) fn subscribe(
    core: &Arc<Core>,
    index: usize,
    options: SubscribeOptions,
) -> Result<AnySubscription, SubscribeError> {
    let topic = &core.topics[index];
    let interval = options.interval_ns()?;
    let limit = options.limit(topic.info.metric.kind(), core.budget.bytes)?;
    let mailbox = Arc::new(Mailbox::new(limit));
    let now = core.timeline.now_ns();
    let mut state = topic.state(now);
    if let Some(why) = &state.end {
        return Err(why.clone().into());
    }
    let mut timing = timing(core, &topic.info, &mut state, interval, now);
    let interval = Duration::from_nanos(timing.interval);
    if let Some((first, bytes)) = first_sample(core, &topic.info, &mut state, &mut timing, now) {
        let mut outgoing = Outgoing::new(&first, bytes, &core.budget);
        outgoing.put_into(&mailbox, Missed::NONE);
        state.counters.deliveries += 1;
    }
    let subscriber = state.subscribers.add(Arc::clone(&mailbox), timing);
    drop(state);
    core.changed.notify_one();
    topic.wanted.notify_waiters();
    let slot = Slot {
        topic: index,
        subscriber,
    };
    let upstream = Arc::clone(core) as Arc<dyn Upstream>;
    Ok(AnySubscription::new(
        topic.info.metric.clone(),
        interval,
        mailbox,
        upstream,
        slot,
    ))
}

impl Upstream for Core {
    fn gap(&self, slot: Slot, missed: Missed) -> AnySample {
        let topic = &self.topics[slot.topic];
        let at = self.clock.now();
        let sequence = topic.state_as_is().sequence;
        topic.info.gap(sequence, missed, at)
    }

    fn unsubscribed(&self, slot: Slot) {
        self.topics[slot.topic].remove_later(slot.subscriber);
        self.changed.notify_one();
    }
}

/// What a new subscriber is entitled to; the schedule follows it.
fn timing(
    core: &Core,
    info: &TopicInfo,
    state: &mut State,
    interval: Option<u64>,
    now: u64,
) -> Timing {
    let is_state = info.metric.kind() == Kind::State;
    let wanted = interval.unwrap_or(info.pace);
    if !info.is_collected() {
        return Timing {
            interval: wanted,
            pacing: if is_state && interval.is_some() {
                Pacing::Aligned
            } else {
                Pacing::All
            },
            due: 0,
        };
    }
    let interval = wanted.max(state.schedule.floor());
    let given_up = state.schedule.add_interval(interval, now);
    state.keep_if_awaited(given_up, now);
    let pacing = match core.sharing.is_aligned() {
        true if is_state => Pacing::Aligned,
        true => Pacing::All,
        false => Pacing::Own,
    };
    Timing {
        interval,
        pacing,
        due: 0,
    }
}

/// The first sample of a new subscriber, and the bytes of its reading: the
/// cached one if it is fresh, or why there is none. Else the metric is
/// collected at once.
fn first_sample(
    core: &Core,
    info: &TopicInfo,
    state: &mut State,
    timing: &mut Timing,
    now: u64,
) -> Option<(AnySample, usize)> {
    let ask = info.is_collected() && state.flight.is_none();
    if let Some(failing) = &state.failing {
        let sample = failing.sample(info);
        if ask {
            state.schedule.ask_at_once(now);
        }
        return Some((sample, 0));
    }
    if info.metric.kind() == Kind::State
        && (core.sharing.shares_readings() || !info.is_collected())
        && let Some(cached) = &state.cached
        && cached.age_ns(core.clock.now()) <= timing.interval
    {
        timing.advance(now);
        state.counters.cache_hits += 1;
        return Some((cached.sample.clone(), cached.bytes));
    }
    if ask {
        state.schedule.ask_at_once(now);
    }
    None
}
