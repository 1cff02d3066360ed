use std::{any::Any, sync::Arc, time::Duration, time::SystemTime};

use super::{AnyReading, Backend, Metric, Missed, Origin, Reading, Reason, UntypedReading};

/// Whether the reading of a sample can be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The collection that made this sample succeeded.
    Ok,
    /// The reading is the last good one; the collections since have failed,
    /// or none was made within the requested age.
    Stale {
        /// How old the reading is.
        age: Duration,
        /// Why there is no newer one.
        reason: Reason,
    },
    /// There is no reading.
    Unavailable {
        /// Why there is none.
        reason: Reason,
        /// Since when there has been none.
        since: SystemTime,
    },
}

impl Status {
    /// Why there is no reading, or no newer one; `None` if it is [`Ok`](Self::Ok).
    pub const fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Ok => None,
            Self::Stale { reason, .. } | Self::Unavailable { reason, .. } => Some(reason),
        }
    }
}

/// A reading as it is delivered.
///
/// `R` is a [`Reading`], or `dyn AnyReading` when the type is not known: see
/// [`AnySample`].
///
/// It is serialized and deserialized in self-describing formats (JSON) by the
/// names of its fields, and in binary ones (postcard) by their order. An
/// [`AnySample`] is deserialized by the name of its metric: see
/// [`Decoders`](super::Decoders).
#[derive(Debug)]
#[non_exhaustive]
pub struct Sample<R: ?Sized> {
    /// The metric that was sampled.
    pub metric: Metric,
    /// Where it was sampled.
    pub origin: Arc<Origin>,
    /// What the reading was made from; `None` where there is no reading.
    pub backend: Option<Backend>,
    /// Whether the reading can be relied on.
    pub status: Status,
    /// When the last source of the reading was read, by the wall clock.
    pub taken_at: SystemTime,
    /// When the last source of the reading was read: nanoseconds on
    /// `CLOCK_MONOTONIC`.
    pub monotonic_ns: u64,
    /// The length of the read window: each value was read between
    /// `monotonic_ns - window` and `monotonic_ns`.
    pub window: Duration,
    /// The number of this sample among those of its metric and its
    /// [instance](Origin::instance). It grows by one with each collection, also
    /// those that failed, and by one with each reading that was lost.
    pub sequence: u64,
    /// The samples between the one before and this one that the subscriber did
    /// not receive.
    pub missed: Missed,
    /// The reading, shared with all its receivers. A sample with the status
    /// [`Status::Ok`] and without a reading reports what was missed, after which
    /// nothing has come yet.
    pub data: Option<Arc<R>>,
}

/// A sample whose metric is known by name only.
pub type AnySample = Sample<dyn AnyReading>;

impl<R: ?Sized> Sample<R> {
    /// A sample of a metric that has no reading yet: status
    /// [`Ok`](Status::Ok), of an unknown origin and backend, taken at these
    /// times, the first of its sequence.
    pub fn empty(metric: Metric, taken_at: SystemTime, monotonic_ns: u64) -> Self {
        Self {
            metric,
            origin: Origin::unknown(),
            backend: None,
            status: Status::Ok,
            taken_at,
            monotonic_ns,
            window: Duration::ZERO,
            sequence: 1,
            missed: Missed::NONE,
            data: None,
        }
    }

    /// The time between the reads of an earlier sample and those of this one,
    /// by which the growth of a counter is divided for its rate; `None` if the
    /// other is not earlier, or was taken in another boot.
    ///
    /// It is measured from the middle of one window to the middle of the
    /// other, where a value is read on average.
    pub fn since(&self, earlier: &Self) -> Option<Duration> {
        let middle = |sample: &Self| {
            let half = sample.window.as_nanos() as u64 / 2;
            sample.monotonic_ns.saturating_sub(half)
        };
        let shared = Arc::ptr_eq(&self.origin, &earlier.origin);
        if !shared && !self.origin.is_same_boot(&earlier.origin) {
            return None;
        }
        let ns = middle(self).checked_sub(middle(earlier))?;
        (ns > 0).then(|| Duration::from_nanos(ns))
    }

    /// Whether this sample continues the sequence of an earlier one: both are
    /// of the same instance of the agent. Where it does not, the sequence and
    /// the counters that the agent itself keeps have started again.
    pub fn continues(&self, earlier: &Self) -> bool {
        self.metric == earlier.metric
            && (Arc::ptr_eq(&self.origin, &earlier.origin)
                || self.origin.instance == earlier.origin.instance)
    }

    /// This sample with other data.
    pub(super) fn with_data<T: ?Sized>(self, data: Option<Arc<T>>) -> Sample<T> {
        Sample {
            metric: self.metric,
            origin: self.origin,
            backend: self.backend,
            status: self.status,
            taken_at: self.taken_at,
            monotonic_ns: self.monotonic_ns,
            window: self.window,
            sequence: self.sequence,
            missed: self.missed,
            data,
        }
    }
}

impl<R: ?Sized> Clone for Sample<R> {
    fn clone(&self) -> Self {
        Self {
            metric: self.metric.clone(),
            origin: Arc::clone(&self.origin),
            backend: self.backend,
            status: self.status.clone(),
            taken_at: self.taken_at,
            monotonic_ns: self.monotonic_ns,
            window: self.window,
            sequence: self.sequence,
            missed: self.missed,
            data: self.data.clone(),
        }
    }
}

impl AnySample {
    /// This sample with its type, or `None` if the reading is of another
    /// metric than `R`.
    pub fn downcast<R: Reading>(&self) -> Option<Sample<R>> {
        self.clone().into_typed()
    }

    /// This sample with its type, as [`downcast`](Self::downcast), but without
    /// another use of the reading. An [untyped reading](UntypedReading) of the
    /// same metric is decoded.
    pub fn into_typed<R: Reading>(mut self) -> Option<Sample<R>> {
        if self.metric.name() != R::METRIC.name {
            return None;
        }
        let data = match self.data.take() {
            None => None,
            Some(data) => {
                let data: Arc<dyn Any + Send + Sync> = data;
                Some(match data.downcast::<R>() {
                    Ok(reading) => reading,
                    Err(other) => {
                        let untyped = other.downcast::<UntypedReading>().ok()?;
                        Arc::new(R::deserialize(&untyped.value).ok()?)
                    }
                })
            }
        };
        Some(self.with_data(data))
    }
}

impl<R: Reading> Sample<R> {
    /// A sample with this reading, taken at these times: the wall clock, and
    /// nanoseconds on `CLOCK_MONOTONIC`. The other fields are as in
    /// [`empty`](Self::empty), and can be set.
    pub fn new(reading: R, taken_at: SystemTime, monotonic_ns: u64) -> Self {
        Self {
            data: Some(Arc::new(reading)),
            ..Self::empty(Metric::of::<R>(), taken_at, monotonic_ns)
        }
    }

    /// This sample without its type.
    pub fn into_any(mut self) -> AnySample {
        let data = self.data.take();
        self.with_data(data.map(|data| data as Arc<dyn AnyReading>))
    }
}
