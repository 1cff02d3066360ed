//! What subscriptions are, wherever their samples come from.
//!
//! A [`Feed`] is anything that subscriptions can be taken from: a
//! [`Bus`](crate::bus::Bus) in this process, a client of another process or
//! host, a recording. A [`Subscription`] is one type whatever the feed; one
//! that comes from no feed at all is made with [`Subscription::channel`].
//!
//! This module depends on `metric` only.

mod channel;
mod end;
mod inbox;
mod mailbox;
mod options;
mod snapshot;
mod subscription;
pub(crate) mod sync;
#[cfg(test)]
mod tests;

use std::{future::Future, ops::Deref, pin::Pin};

pub use channel::{AnySampleSender, SampleSender, SendError};
pub use end::{Ended, RecvError};
pub(crate) use inbox::{Inbox, Queued, QueuedBytes, Slot, Upstream};
pub(crate) use mailbox::Mailbox;
pub(crate) use options::VALID_INTERVALS;
pub use options::{DEFAULT_EVENT_QUEUE, Delivery, SubscribeError, SubscribeOptions, every};
pub use snapshot::{Snapshot, SnapshotRequest};
pub use subscription::{AnySubscription, Subscription};

// The file of the mailbox is also compiled into the test that runs it under loom.
use crate::metric;
use crate::metric::{Metric, Reading};

/// A snapshot that is being taken.
pub type SnapshotFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Snapshot, SubscribeError>> + Send + 'a>>;

/// Anything that subscriptions can be taken from.
///
/// A `dyn Feed` can be used through a reference, [`Arc`](std::sync::Arc) or
/// [`Box`], which are feeds too:
///
/// ```
/// use std::sync::Arc;
/// use collector::{feed::{Feed, SubscribeError, Subscription, every}, metric::CpuStats};
///
/// fn cpus(feed: &Arc<dyn Feed>) -> Result<Subscription<CpuStats>, SubscribeError> {
///     feed.subscribe(every(std::time::Duration::from_secs(1)))
/// }
/// ```
pub trait Feed: Send + Sync {
    /// The metrics that can be subscribed to, by tier and name.
    fn metrics(&self) -> Vec<Metric>;

    /// Subscribes to a metric by its name. The samples of a metric that this
    /// build does not declare are
    /// [untyped](crate::metric::UntypedReading).
    ///
    /// # Errors
    ///
    /// When the feed does not have the metric, an option is out of its range,
    /// or the feed has ended.
    fn subscribe_any(
        &self,
        metric: &str,
        options: SubscribeOptions,
    ) -> Result<AnySubscription, SubscribeError>;

    /// Many metrics at once, each with its own time and status. It never fails
    /// as a whole because one metric does.
    ///
    /// # Errors
    ///
    /// When the feed does not have a metric that the request names, or it has
    /// ended.
    fn snapshot(&self, request: SnapshotRequest) -> SnapshotFuture<'_>;

    /// Subscribes to the metric of which `R` is a reading.
    ///
    /// # Errors
    ///
    /// As [`subscribe_any`](Self::subscribe_any).
    fn subscribe<R: Reading>(
        &self,
        options: SubscribeOptions,
    ) -> Result<Subscription<R>, SubscribeError>
    where
        Self: Sized,
    {
        self.subscribe_any(R::METRIC.name, options)?.into_typed()
    }
}

impl<P> Feed for P
where
    P: Deref<Target: Feed> + Send + Sync,
{
    fn metrics(&self) -> Vec<Metric> {
        (**self).metrics()
    }

    fn subscribe_any(
        &self,
        metric: &str,
        options: SubscribeOptions,
    ) -> Result<AnySubscription, SubscribeError> {
        (**self).subscribe_any(metric, options)
    }

    fn snapshot(&self, request: SnapshotRequest) -> SnapshotFuture<'_> {
        (**self).snapshot(request)
    }
}
