use std::{
    any::type_name,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_core::Stream;

use super::{Ended, Inbox, Queued, RecvError, Slot, SubscribeError, Upstream, mailbox::Taken};
use crate::metric::{AnySample, Metric, Reading, Sample};

/// One subscriber's claim on one metric. Dropping it unsubscribes.
///
/// It is also a `Stream` of samples, which ends with the subscription; why it
/// ended is in [`ended`](Self::ended). All methods that wait are
/// cancel-safe: no sample is lost when the future is dropped.
#[derive(Debug)]
pub struct Subscription<R: Reading> {
    untyped: AnySubscription,
    reading: PhantomData<fn() -> R>,
}

/// A [`Subscription`] to a metric that is known by name only.
#[derive(Debug)]
pub struct AnySubscription {
    metric: Metric,
    interval: Duration,
    inbox: Arc<Inbox>,
    upstream: Arc<dyn Upstream>,
    slot: Slot,
    ended: Option<Ended>,
}

impl<R: Reading> Subscription<R> {
    /// For a feed that knows the type.
    pub(crate) fn of(untyped: AnySubscription) -> Self {
        Self {
            untyped,
            reading: PhantomData,
        }
    }

    /// The next sample.
    ///
    /// # Errors
    ///
    /// [`RecvError::Ended`] when there will be no more, after all that wait
    /// were received; [`RecvError::WrongType`] for a sample that is no `R`.
    pub async fn recv(&mut self) -> Result<Sample<R>, RecvError> {
        self.untyped.recv().await.and_then(typed)
    }

    /// The next sample, if one waits.
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

    /// Why there will be no more samples; `None` until
    /// [`recv`](Self::recv) has returned it.
    pub fn ended(&self) -> Option<&Ended> {
        self.untyped.ended()
    }

    /// This subscription without its type.
    pub fn into_any(self) -> AnySubscription {
        self.untyped
    }
}

fn typed<R: Reading>(sample: AnySample) -> Result<Sample<R>, RecvError> {
    let metric = sample.metric.clone();
    sample.into_typed().ok_or(RecvError::WrongType {
        metric,
        expected: type_name::<R>(),
    })
}

impl AnySubscription {
    pub(crate) fn new(
        metric: Metric,
        interval: Duration,
        inbox: Arc<Inbox>,
        upstream: Arc<dyn Upstream>,
        slot: Slot,
    ) -> Self {
        Self {
            metric,
            interval,
            inbox,
            upstream,
            slot,
            ended: None,
        }
    }

    /// This subscription with its type.
    ///
    /// # Errors
    ///
    /// When `R` is a reading of another metric.
    pub fn into_typed<R: Reading>(self) -> Result<Subscription<R>, SubscribeError> {
        if self.metric.name() == R::METRIC.name {
            Ok(Subscription::of(self))
        } else {
            Err(SubscribeError::WrongMetric {
                metric: self.metric.clone(),
                expected: R::METRIC.name,
            })
        }
    }

    /// The metric.
    pub fn metric(&self) -> &Metric {
        &self.metric
    }

    /// The interval in force: the requested one, or the pace of the
    /// metric, but not below its floor. Samples come at its multiples on
    /// `CLOCK_MONOTONIC`. Of events, each comes as it happens.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Why there will be no more samples; `None` until
    /// [`recv`](Self::recv) has returned it.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// The next sample.
    ///
    /// # Errors
    ///
    /// [`RecvError::Ended`] when there will be no more, after all that wait
    /// were received.
    pub async fn recv(&mut self) -> Result<AnySample, RecvError> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// The next sample, if one waits.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Option<AnySample>, RecvError> {
        let taken = self.inbox.try_take();
        taken.map(|taken| self.sample_of(taken)).transpose()
    }

    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<AnySample, RecvError>> {
        // A task that reads a long queue yields to others of its thread, as
        // with the channels of tokio.
        let turn = ready!(tokio::task::coop::poll_proceed(context));
        let taken = ready!(self.inbox.poll_take(context));
        turn.made_progress();
        Poll::Ready(self.sample_of(taken))
    }

    fn sample_of(&mut self, taken: Taken<Queued, Ended>) -> Result<AnySample, RecvError> {
        match taken {
            Taken::Item { item, missed } => Ok(Sample {
                missed,
                ..item.sample
            }),
            Taken::Gap(missed) => Ok(self.upstream.gap(self.slot, missed)),
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

impl Drop for AnySubscription {
    fn drop(&mut self) {
        self.inbox.close();
        self.upstream.unsubscribed(self.slot);
    }
}

/// A sample of another type is left out: [`Subscription::recv`] returns it as
/// an error.
impl<R: Reading> Stream for Subscription<R> {
    type Item = Sample<R>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Sample<R>>> {
        let subscription = self.get_mut();
        loop {
            let Some(sample) = ready!(subscription.untyped.poll_stream(context)) else {
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
