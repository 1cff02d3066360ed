use std::{
    any::type_name,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;

use super::{
    Ended, RecvError,
    core::Core,
    mailbox::{Mailbox, Taken},
    modes::Mode,
    options::{SubscribeError, SubscribeOptions},
    subscribers::{Claim, Delivery, Inbox, Queued, Rhythm},
    sync::lock,
    topic::{State, Topic, YieldedBy},
};
use crate::metric::{AnySample, Kind, MetricInfo, Missed, Reading, Sample};

/// One subscriber's claim on one metric. Dropping it unsubscribes.
///
/// It is also a `Stream` of samples, which ends with the subscription; why it
/// ended is told by [`ended`](Self::ended). All methods that wait are
/// cancel-safe: no sample is lost when the wait is given up.
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
    mailbox: Arc<Inbox>,
    interval: Duration,
    ended: Option<Ended>,
}

impl<R: Reading> Subscription<R> {
    pub(super) fn new(untyped: AnySubscription) -> Self {
        Self {
            untyped,
            reading: PhantomData,
        }
    }

    /// The next sample.
    ///
    /// # Errors
    ///
    /// When there will be no more, after all that were taken were received.
    pub async fn recv(&mut self) -> Result<Sample<R>, RecvError> {
        self.untyped.recv().await.and_then(typed)
    }

    /// The next sample, if there is one already.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Option<Sample<R>>, RecvError> {
        self.untyped.try_recv()?.map(typed).transpose()
    }

    /// The interval in force: see [`AnySubscription::interval`].
    pub fn interval(&self) -> Duration {
        self.untyped.interval()
    }

    /// Why there will be no more samples; `None` before that was received.
    pub fn ended(&self) -> Option<&Ended> {
        self.untyped.ended()
    }
}

fn typed<R: Reading>(sample: AnySample) -> Result<Sample<R>, RecvError> {
    let metric = sample.metric.name;
    sample.into_typed().ok_or(RecvError::WrongType {
        metric,
        expected: type_name::<R>(),
    })
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
        let limit = options.limit(topic.info.kind, core.budget.bytes)?;
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
        let at = state.subscribers.add(Arc::clone(&mailbox), claim);
        drop(state);
        core.changed.notify_one();
        topic.wanted.notify_waiters();
        Ok(Self {
            core: Arc::clone(core),
            topic: place,
            place: at,
            mailbox,
            interval,
            ended: None,
        })
    }

    /// The metric.
    pub fn metric(&self) -> &'static MetricInfo {
        self.core.topics[self.topic].info
    }

    /// The interval in force: the one that was asked for, or the pace of the
    /// metric, but not below its floor. Samples come at its multiples on
    /// `CLOCK_MONOTONIC`. Of events, each comes as it happens.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Why there will be no more samples; `None` before that was received.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// The next sample.
    ///
    /// # Errors
    ///
    /// When there will be no more, after all that were taken were received.
    pub async fn recv(&mut self) -> Result<AnySample, RecvError> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// The next sample, if there is one already.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Option<AnySample>, RecvError> {
        let taken = self.mailbox.try_take();
        taken.map(|taken| self.sample_of(taken)).transpose()
    }

    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<AnySample, RecvError>> {
        // Who reads a long queue in one go lets other tasks of its thread run
        // in between, as with the channels of tokio.
        let turn = std::task::ready!(tokio::task::coop::poll_proceed(context));
        let taken = std::task::ready!(self.mailbox.poll_take(context));
        turn.made_progress();
        Poll::Ready(self.sample_of(taken))
    }

    fn sample_of(&mut self, taken: Taken<Queued, Ended>) -> Result<AnySample, RecvError> {
        match taken {
            Taken::Item { item, missed } => Ok(Sample {
                missed,
                ..item.sample
            }),
            Taken::Gap(missed) => {
                let topic = &self.core.topics[self.topic];
                let at = self.core.clock.now();
                Ok(topic.gap(&lock(&topic.state), missed, at))
            }
            Taken::End(why) => {
                let why = why.unwrap_or(Ended::ShutDown);
                Err(RecvError::Ended(self.ended.insert(why).clone()))
            }
        }
    }

    fn poll_stream(&mut self, context: &mut Context<'_>) -> Poll<Option<AnySample>> {
        self.poll_recv(context).map(Result::ok)
    }
}

impl Topic {
    /// What a new subscriber is entitled to; the schedule follows it.
    fn claim(&self, core: &Core, state: &mut State, interval: Option<u64>, now: u64) -> Claim {
        let thinned = self.info.kind == Kind::State;
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
    if topic.info.kind == Kind::State
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

impl Drop for AnySubscription {
    fn drop(&mut self) {
        self.mailbox.close();
        lock(&self.core.topics[self.topic].given_up).push(self.place);
        self.core.changed.notify_one();
    }
}

/// A sample of another type is left out: [`Subscription::recv`] tells of it.
impl<R: Reading> Stream for Subscription<R> {
    type Item = Sample<R>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Sample<R>>> {
        let subscription = self.get_mut();
        loop {
            let Some(sample) = std::task::ready!(subscription.untyped.poll_stream(context)) else {
                return Poll::Ready(None);
            };
            if let Ok(sample) = typed(sample) {
                return Poll::Ready(Some(sample));
            }
        }
    }
}

impl Stream for AnySubscription {
    type Item = AnySample;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<AnySample>> {
        self.get_mut().poll_stream(context)
    }
}
