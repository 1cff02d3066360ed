use std::{
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::{
    core::Core,
    mailbox::Mailbox,
    modes::Mode,
    options::{SubscribeError, SubscribeOptions},
    subscribers::{Claim, Rhythm},
    sync::lock,
    topic::{State, Topic, YieldedBy},
};
use crate::metric::{AnySample, Kind, MetricInfo, Reading, Sample};

/// One subscriber's claim on one metric. Dropping it unsubscribes.
///
/// It is also a `Stream` of samples. To wait for a sample may be given up at
/// any time: none is lost by that.
#[derive(Debug)]
pub struct Subscription<R: Reading> {
    untyped: AnySubscription,
    reading: PhantomData<fn() -> R>,
}

/// A [`Subscription`] to a metric that is known by name only.
#[derive(Debug)]
pub struct AnySubscription {
    core: Arc<Core>,
    topic: usize,
    place: usize,
    mailbox: Arc<Mailbox<AnySample>>,
}

impl<R: Reading> Subscription<R> {
    pub(super) fn new(untyped: AnySubscription) -> Self {
        Self {
            untyped,
            reading: PhantomData,
        }
    }

    /// The next sample; `None` after the bus was shut down and all was received.
    pub async fn recv(&mut self) -> Option<Sample<R>> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Sample<R>>> {
        let sample = std::task::ready!(self.untyped.poll_recv(context));
        Poll::Ready(sample.and_then(AnySample::into_typed))
    }
}

impl AnySubscription {
    /// Subscribes to the topic at a place of the bus.
    pub(super) fn new(
        core: &Arc<Core>,
        place: usize,
        options: SubscribeOptions,
    ) -> Result<Self, SubscribeError> {
        let topic = &core.topics[place];
        let interval = options.interval_ns()?;
        let mailbox = Arc::new(Mailbox::new(options.delivery.limit(topic.info.kind)));
        let now = core.timeline.now_ns();
        let mut state = lock(&topic.state);
        if state.shut_down {
            return Err(SubscribeError::ShutDown);
        }
        state.prune(topic, now);
        let mut claim = topic.claim(core, &mut state, interval, now);
        if let Some(first) = first_sample(core, topic, &mut state, &mut claim, now) {
            mailbox.put(first);
            state.counters.deliveries += 1;
        }
        let at = state.subscribers.add(Arc::clone(&mailbox), claim);
        drop(state);
        core.changed.notify_one();
        Ok(Self {
            core: Arc::clone(core),
            topic: place,
            place: at,
            mailbox,
        })
    }

    /// The metric.
    pub fn metric(&self) -> &'static MetricInfo {
        self.core.topics[self.topic].info
    }

    /// The next sample; `None` after the bus was shut down and all was received.
    pub async fn recv(&mut self) -> Option<AnySample> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<AnySample>> {
        // Who reads a long queue in one go lets other tasks of its thread run
        // in between, as with the channels of tokio.
        let turn = std::task::ready!(tokio::task::coop::poll_proceed(context));
        let taken = std::task::ready!(self.mailbox.poll_take(context));
        turn.made_progress();
        Poll::Ready(taken.map(|taken| Sample {
            missed: taken.missed,
            ..taken.item
        }))
    }
}

impl Topic {
    /// What a new subscriber is entitled to; the schedule follows it.
    fn claim(&self, core: &Core, state: &mut State, interval: Option<u64>, now: u64) -> Claim {
        let thinned = self.info.kind == Kind::State;
        let wanted = interval.unwrap_or_else(|| self.default_interval_ns());
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

/// What a new subscriber is told at once: the cached reading if it is fresh,
/// or that there is none. Else the metric is collected at once.
fn first_sample(
    core: &Core,
    topic: &Topic,
    state: &mut State,
    claim: &mut Claim,
    now: u64,
) -> Option<AnySample> {
    let collected = matches!(topic.yielded_by, YieldedBy::Collector(_));
    let ask = collected && state.flight.is_none();
    if let Some(failing) = &state.failing {
        let sample = topic.unavailable(failing);
        if ask {
            state.schedule.ask_at_once(now);
        }
        return Some(sample);
    }
    if topic.info.kind == Kind::State
        && (core.mode != Mode::Independent || !collected)
        && let Some(cached) = &state.cached
        && cached.age_ns(core.clock.now()) <= claim.interval
    {
        claim.advance(now);
        state.counters.cache_hits += 1;
        return Some(cached.sample.clone());
    }
    if ask {
        state.schedule.ask_at_once(now);
    }
    None
}

impl Drop for AnySubscription {
    fn drop(&mut self) {
        self.mailbox.close();
        lock(&self.core.topics[self.topic].given_up).push(self.place);
        self.core.changed.notify_one();
    }
}

impl<R: Reading> Stream for Subscription<R> {
    type Item = Sample<R>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Sample<R>>> {
        self.get_mut().poll_recv(context)
    }
}

impl Stream for AnySubscription {
    type Item = AnySample;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<AnySample>> {
        self.get_mut().poll_recv(context)
    }
}
