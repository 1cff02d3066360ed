//! How a subscriber comes to a metric of the bus, and goes.

use std::{sync::Arc, time::Duration};

use super::{
    core::Core,
    modes::Mode,
    subscribers::{Claim, Delivery, Rhythm},
    sync::lock,
    topic::{State, Topic, YieldedBy},
};
use crate::{
    feed::{AnySubscription, Mailbox, Slot, SubscribeError, SubscribeOptions, Upstream},
    metric::{AnySample, Kind, Missed},
};

/// Subscribes to the topic at a place of the bus.
pub(super) fn subscribe(
    core: &Arc<Core>,
    place: usize,
    options: SubscribeOptions,
) -> Result<AnySubscription, SubscribeError> {
    let topic = &core.topics[place];
    let interval = options.interval_ns()?;
    let limit = options.limit(topic.metric.kind(), core.budget.bytes)?;
    let mailbox = Arc::new(Mailbox::new(limit));
    let now = core.timeline.now_ns();
    let mut state = lock(&topic.state);
    if let Some(why) = &state.end {
        return Err(why.clone().into());
    }
    state.prune(topic, now);
    let mut claim = topic.claim(core, &mut state, interval, now);
    let interval = Duration::from_nanos(claim.interval);
    if let Some((first, bytes)) = first_sample(core, topic, &mut state, &mut claim, now) {
        let mut delivery = Delivery::new(&first, bytes, &core.budget);
        delivery.put_into(&mailbox, Missed::NONE);
        state.counters.deliveries += 1;
    }
    let subscriber = state.subscribers.add(Arc::clone(&mailbox), claim);
    drop(state);
    core.changed.notify_one();
    topic.wanted.notify_waiters();
    let slot = Slot {
        topic: place,
        subscriber,
    };
    let upstream = Arc::clone(core) as Arc<dyn Upstream>;
    Ok(AnySubscription::new(
        topic.metric.clone(),
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
        topic.gap(&lock(&topic.state), missed, at)
    }

    fn unsubscribed(&self, slot: Slot) {
        lock(&self.topics[slot.topic].given_up).push(slot.subscriber);
        self.changed.notify_one();
    }
}

impl Topic {
    /// What a new subscriber is entitled to; the schedule follows it.
    fn claim(&self, core: &Core, state: &mut State, interval: Option<u64>, now: u64) -> Claim {
        let thinned = self.metric.kind() == Kind::State;
        let wanted = interval.unwrap_or(self.pace);
        match self.yielded_by {
            YieldedBy::Collector(_) => {
                let interval = wanted.max(state.schedule.floor());
                let given_up = state.schedule.want(interval, now);
                state.keep_if_awaited(given_up, now);
                Claim {
                    interval,
                    rhythm: match core.mode {
                        Mode::Bus if thinned => Rhythm::Aligned,
                        Mode::Bus => Rhythm::All,
                        Mode::Cache | Mode::Independent => Rhythm::Own,
                    },
                    due: 0,
                }
            }
            YieldedBy::Producer => Claim {
                interval: wanted,
                rhythm: if thinned && interval.is_some() {
                    Rhythm::Aligned
                } else {
                    Rhythm::All
                },
                due: 0,
            },
        }
    }
}

/// What a new subscriber is told at once, and the bytes of it: the cached
/// reading if it is fresh, or that there is none. Else the metric is collected
/// at once.
fn first_sample(
    core: &Core,
    topic: &Topic,
    state: &mut State,
    claim: &mut Claim,
    now: u64,
) -> Option<(AnySample, usize)> {
    let collected = matches!(topic.yielded_by, YieldedBy::Collector(_));
    let ask = collected && state.flight.is_none();
    if let Some(failing) = &state.failing {
        let sample = topic.unavailable(failing);
        if ask {
            state.schedule.ask_at_once(now);
        }
        return Some((sample, 0));
    }
    if topic.metric.kind() == Kind::State
        && (core.mode != Mode::Independent || !collected)
        && let Some(cached) = &state.cached
        && cached.age_ns(core.clock.now()) <= claim.interval
    {
        claim.advance(now);
        state.counters.cache_hits += 1;
        return Some((cached.sample.clone(), cached.bytes));
    }
    if ask {
        state.schedule.ask_at_once(now);
    }
    None
}
