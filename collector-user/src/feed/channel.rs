use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use tokio::sync::Notify;

use super::{
    AnySubscription, Ended, Inbox, Queued, Slot, SubscribeError, SubscribeOptions, Subscription,
    Upstream,
    mailbox::Mailbox,
    sync::{Mutex, lock},
};
use crate::metric::{AnySample, Metric, Missed, Reading, Sample};

/// Sends samples to the one [`Subscription`] that was made with it.
///
/// Sending never waits: when the subscription's queue is full, its oldest
/// sample is dropped and counted as missed, as on a bus. Dropping the sender
/// ends the subscription with [`Ended::ProducerGone`].
#[derive(Debug)]
pub struct SampleSender<R: Reading> {
    untyped: AnySampleSender,
    reading: PhantomData<fn(R)>,
}

/// A [`SampleSender`] for a metric that is known by name only.
#[derive(Debug)]
pub struct AnySampleSender {
    metric: Metric,
    inbox: Arc<Inbox>,
    shared: Arc<Shared>,
}

/// What a sender and its subscription share beside the queue.
#[derive(Debug)]
struct Shared {
    is_unsubscribed: AtomicBool,
    unsubscribed: Notify,
    /// The last sample, without its reading.
    last: Mutex<AnySample>,
}

/// A sample was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The subscription was dropped.
    #[error("the subscription was dropped")]
    Unsubscribed,
    /// The sample is of another metric than the subscription.
    #[error("a sample of {found} cannot be sent to a subscription to {expected}")]
    WrongMetric {
        /// The metric of the subscription.
        expected: Metric,
        /// The metric of the sample.
        found: Metric,
    },
}

impl<R: Reading> Subscription<R> {
    /// A subscription to what a sender sends, with the bounds of `options` and
    /// of a bus: for tests, and for feeds that are no bus. The interval is told
    /// by [`interval`](Self::interval) and changes nothing else; without one it
    /// is that of the metric's tier. Without
    /// [`max_queue_bytes`](SubscribeOptions::max_queue_bytes), readings of up to
    /// 32 MiB wait.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use collector::{
    ///     feed::{Ended, RecvError, Subscription, SubscribeOptions},
    ///     metric::{LoadAvg, Sample},
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (sender, mut loads) = Subscription::channel(SubscribeOptions::default())?;
    /// sender.send(Sample::new(LoadAvg::default(), SystemTime::now(), 1))?;
    /// assert_eq!(loads.recv().await?.sequence, 1);
    /// drop(sender);
    /// let end = loads.recv().await.unwrap_err();
    /// assert_eq!(end, RecvError::Ended(Ended::ProducerGone));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When an option is out of its range.
    pub fn channel(options: SubscribeOptions) -> Result<(SampleSender<R>, Self), SubscribeError> {
        let (untyped, subscription) = AnySubscription::channel(Metric::of::<R>(), options)?;
        let sender = SampleSender {
            untyped,
            reading: PhantomData,
        };
        Ok((sender, Self::of(subscription)))
    }
}

impl AnySubscription {
    /// As [`Subscription::channel`], for a metric that is known by name only.
    ///
    /// # Errors
    ///
    /// When an option is out of its range.
    pub fn channel(
        metric: impl Into<Metric>,
        options: SubscribeOptions,
    ) -> Result<(AnySampleSender, Self), SubscribeError> {
        /// The bytes that may wait unless the subscriber says how many.
        const BYTES: usize = 32 << 20;
        let metric = metric.into();
        options.interval_ns()?;
        let interval = options
            .interval
            .unwrap_or_else(|| metric.tier().default_interval());
        let inbox = Arc::new(Mailbox::new(options.limit(metric.kind(), BYTES)?));
        let nothing = Sample {
            sequence: 0,
            ..Sample::empty(metric.clone(), SystemTime::now(), 0)
        };
        let shared = Arc::new(Shared {
            is_unsubscribed: AtomicBool::new(false),
            unsubscribed: Notify::new(),
            last: Mutex::new(nothing),
        });
        let upstream = Arc::clone(&shared) as Arc<dyn Upstream>;
        let subscription = Self::new(
            metric.clone(),
            interval,
            Arc::clone(&inbox),
            upstream,
            Slot::default(),
        );
        let sender = AnySampleSender {
            metric,
            inbox,
            shared,
        };
        Ok((sender, subscription))
    }
}

impl<R: Reading> SampleSender<R> {
    /// Sends a sample as it is: its times, sequence and origin are kept, and
    /// what it says was missed is added to what this subscription misses.
    ///
    /// # Errors
    ///
    /// When the subscription was dropped.
    pub fn send(&self, sample: Sample<R>) -> Result<(), SendError> {
        self.untyped.send(sample.into_any())
    }

    /// As [`AnySampleSender::lost`].
    pub fn lost(&self, missed: Missed) {
        self.untyped.lost(missed);
    }

    /// As [`AnySampleSender::end`].
    pub fn end(self, why: Ended) {
        self.untyped.end(why);
    }

    /// As [`AnySampleSender::is_unsubscribed`].
    pub fn is_unsubscribed(&self) -> bool {
        self.untyped.is_unsubscribed()
    }

    /// As [`AnySampleSender::unsubscribed`].
    pub async fn unsubscribed(&self) {
        self.untyped.unsubscribed().await;
    }

    /// This sender without its type.
    pub fn into_any(self) -> AnySampleSender {
        self.untyped
    }
}

impl AnySampleSender {
    /// The metric.
    pub fn metric(&self) -> &Metric {
        &self.metric
    }

    /// Sends a sample as it is: its times, sequence and origin are kept, and
    /// what it says was missed is added to what this subscription misses.
    ///
    /// # Errors
    ///
    /// When the subscription was dropped, or is one to another metric.
    pub fn send(&self, mut sample: AnySample) -> Result<(), SendError> {
        if self.is_unsubscribed() {
            return Err(SendError::Unsubscribed);
        }
        if sample.metric != self.metric {
            return Err(SendError::WrongMetric {
                expected: self.metric.clone(),
                found: sample.metric,
            });
        }
        let missed = std::mem::take(&mut sample.missed);
        *lock(&self.shared.last) = Sample {
            data: None,
            ..sample.clone()
        };
        let bytes = sample.data.as_ref().map_or(0, |data| data.total_bytes());
        let queued = Queued {
            sample,
            _counted: None,
        };
        self.inbox.put(queued, bytes, missed, usize::MAX);
        Ok(())
    }

    /// Reports what was lost before it could be sent. The subscriber receives it
    /// at once, or with the next sample.
    pub fn lost(&self, missed: Missed) {
        self.inbox.miss(missed);
    }

    /// Ends the subscription: what waits can still be received.
    pub fn end(self, why: Ended) {
        self.inbox.end(why);
    }

    /// Whether the subscription was dropped.
    pub fn is_unsubscribed(&self) -> bool {
        self.shared.is_unsubscribed.load(Ordering::Acquire)
    }

    /// Waits until the subscription is dropped. Cancel-safe.
    pub async fn unsubscribed(&self) {
        loop {
            let dropped = self.shared.unsubscribed.notified();
            let mut dropped = std::pin::pin!(dropped);
            // Before the flag is read, or a drop in between is missed.
            dropped.as_mut().enable();
            if self.is_unsubscribed() {
                return;
            }
            dropped.await;
        }
    }
}

impl Drop for AnySampleSender {
    fn drop(&mut self) {
        self.inbox.end(Ended::ProducerGone);
    }
}

impl Upstream for Shared {
    fn gap(&self, _slot: Slot, missed: Missed) -> AnySample {
        Sample {
            status: crate::metric::Status::Ok,
            missed,
            ..lock(&self.last).clone()
        }
    }

    fn unsubscribed(&self, _slot: Slot) {
        self.is_unsubscribed.store(true, Ordering::Release);
        self.unsubscribed.notify_waiters();
    }
}
