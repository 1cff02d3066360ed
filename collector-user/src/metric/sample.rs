use std::{any::Any, sync::Arc, time::Duration, time::SystemTime};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::{AnyReading, Backend, MetricInfo, Missed, Reading};

/// Whether the reading of a sample can be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The collection that made this sample succeeded.
    Ok,
    /// The reading is the last good one; the collections since have failed,
    /// or none was made within the age that was asked for.
    Stale {
        /// How old the reading is.
        age: Duration,
        /// Why there is no newer one.
        reason: Arc<str>,
    },
    /// There is no reading.
    Unavailable {
        /// Why there is none.
        reason: Arc<str>,
        /// Since when there has been none.
        since: SystemTime,
    },
}

/// A reading as it is delivered.
///
/// `R` is a [`Reading`], or `dyn AnyReading` when the type is not known: see
/// [`AnySample`].
#[derive(Debug)]
pub struct Sample<R: ?Sized> {
    /// The metric that was sampled.
    pub metric: &'static MetricInfo,
    /// What the reading was made from; `None` where there is no reading.
    pub backend: Option<Backend>,
    /// Whether the reading can be relied on.
    pub status: Status,
    /// When the last source of the reading was read, by the wall clock.
    pub taken_at: SystemTime,
    /// When the last source of the reading was read: nanoseconds on
    /// `CLOCK_MONOTONIC`.
    pub monotonic_ns: u64,
    /// How long before that the read of the first source began: each value was
    /// read between `monotonic_ns - window` and `monotonic_ns`.
    pub window: Duration,
    /// The number of this sample among those of its metric. It grows by one
    /// with each collection, also those that failed.
    pub sequence: u64,
    /// The samples that this subscriber should have had between the one before
    /// and this one, but did not get.
    pub missed: Missed,
    /// The reading, shared with all who received it. A sample whose status is
    /// [`Status::Ok`] and that has none only tells what was missed, after
    /// which nothing has come yet.
    pub data: Option<Arc<R>>,
}

/// A sample whose metric is known by name only.
pub type AnySample = Sample<dyn AnyReading>;

impl<R: ?Sized> Sample<R> {
    /// The time between the reads of an earlier sample and those of this one,
    /// by which the growth of a counter is divided for its rate; `None` if the
    /// other is not earlier.
    ///
    /// It is measured from the middle of one window to the middle of the
    /// other, where a value is read on average.
    pub fn since(&self, earlier: &Self) -> Option<Duration> {
        let middle = |sample: &Self| {
            let half = sample.window.as_nanos() as u64 / 2;
            sample.monotonic_ns.saturating_sub(half)
        };
        let ns = middle(self).checked_sub(middle(earlier))?;
        (ns > 0).then(|| Duration::from_nanos(ns))
    }
}

impl<R: ?Sized> Clone for Sample<R> {
    fn clone(&self) -> Self {
        Self {
            metric: self.metric,
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
}

impl AnySample {
    /// This sample with its type, as [`downcast`](Self::downcast), but without
    /// another use of the reading.
    pub fn into_typed<R: Reading>(self) -> Option<Sample<R>> {
        if self.metric.name != R::METRIC.name {
            return None;
        }
        let data = match self.data {
            None => None,
            Some(data) => {
                let data: Arc<dyn Any + Send + Sync> = data;
                Some(data.downcast::<R>().ok()?)
            }
        };
        Some(Sample {
            metric: self.metric,
            backend: self.backend,
            status: self.status,
            taken_at: self.taken_at,
            monotonic_ns: self.monotonic_ns,
            window: self.window,
            sequence: self.sequence,
            missed: self.missed,
            data,
        })
    }
}

impl<R: Reading> Sample<R> {
    /// This sample without its type.
    pub fn into_any(self) -> AnySample {
        Sample {
            metric: self.metric,
            backend: self.backend,
            status: self.status,
            taken_at: self.taken_at,
            monotonic_ns: self.monotonic_ns,
            window: self.window,
            sequence: self.sequence,
            missed: self.missed,
            data: self.data.map(|data| data as Arc<dyn AnyReading>),
        }
    }
}

impl Serialize for AnySample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let extra = match &self.status {
            Status::Ok => 0,
            Status::Stale { .. } | Status::Unavailable { .. } => 2,
        };
        let mut out = serializer.serialize_struct("Sample", 11 + extra)?;
        out.serialize_field("metric", self.metric.name)?;
        out.serialize_field("tier", &self.metric.tier)?;
        out.serialize_field("backend", &self.backend)?;
        match &self.status {
            Status::Ok => out.serialize_field("status", "ok")?,
            Status::Stale { age, reason } => {
                out.serialize_field("status", "stale")?;
                out.serialize_field("age_ns", &(age.as_nanos() as u64))?;
                out.serialize_field("reason", reason)?;
            }
            Status::Unavailable { reason, since } => {
                out.serialize_field("status", "unavailable")?;
                out.serialize_field("reason", reason)?;
                out.serialize_field("since", &rfc3339(*since))?;
            }
        }
        out.serialize_field("taken_at", &rfc3339(self.taken_at))?;
        out.serialize_field("monotonic_ns", &self.monotonic_ns)?;
        out.serialize_field("window_ns", &(self.window.as_nanos() as u64))?;
        out.serialize_field("sequence", &self.sequence)?;
        out.serialize_field("missed", &self.missed.total())?;
        out.serialize_field("missed_by", &self.missed)?;
        out.serialize_field("data", &self.data)?;
        out.end()
    }
}

impl<R: Reading> Serialize for Sample<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.clone().into_any().serialize(serializer)
    }
}

/// Serializes a wall-clock time as RFC 3339 writes it.
///
/// # Errors
///
/// Those of the serializer.
pub(crate) fn serialize_rfc3339<S: Serializer>(
    time: &SystemTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_nanos(*time))
}

/// A wall-clock time as RFC 3339 writes it, in UTC, to the nanosecond.
fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_nanos(time).to_string()
}
