use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Head,
    status::{Name, StatusFields},
};
use crate::metric::{Backend, Kind, Metric, Missed, Origin, Sample, Status, Tier, rfc3339};

/// The fields of a sample, in their order.
#[derive(Serialize)]
#[serde(rename = "Sample")]
struct Written<'a, T: ?Sized> {
    metric: &'a str,
    tier: Tier,
    kind: Kind,
    backend: &'a Option<Backend>,
    status: Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline_ns: Option<u64>,
    #[serde(
        serialize_with = "rfc3339::option::serialize",
        skip_serializing_if = "Option::is_none"
    )]
    since: Option<SystemTime>,
    #[serde(serialize_with = "rfc3339::serialize")]
    taken_at: SystemTime,
    monotonic_ns: u64,
    window_ns: u64,
    sequence: u64,
    missed: u64,
    missed_by: Missed,
    origin: &'a Origin,
    data: &'a Option<Arc<T>>,
}

/// As [`Written`]. What an older build does not write has a default.
#[derive(Deserialize)]
#[serde(rename = "Sample", bound = "T: Deserialize<'de>")]
struct Read<'a, T> {
    #[serde(borrow)]
    metric: Cow<'a, str>,
    tier: Tier,
    #[serde(default = "state")]
    kind: Kind,
    backend: Option<Backend>,
    status: Name,
    age_ns: Option<u64>,
    reason: Option<String>,
    reason_kind: Option<String>,
    deadline_ns: Option<u64>,
    #[serde(default, deserialize_with = "rfc3339::option::deserialize")]
    since: Option<SystemTime>,
    #[serde(deserialize_with = "rfc3339::deserialize")]
    taken_at: SystemTime,
    monotonic_ns: u64,
    #[serde(default)]
    window_ns: u64,
    sequence: u64,
    #[serde(default)]
    missed_by: Missed,
    #[serde(default = "Origin::unknown")]
    origin: Arc<Origin>,
    data: Option<T>,
}

const fn state() -> Kind {
    Kind::State
}

pub(super) fn serialize<T, S>(sample: &Sample<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    T: ?Sized + Serialize,
    S: Serializer,
{
    let status = StatusFields::from(&sample.status);
    Written {
        metric: sample.metric.name(),
        tier: sample.metric.tier(),
        kind: sample.metric.kind(),
        backend: &sample.backend,
        status: status.status,
        age_ns: status.age_ns,
        reason: status.reason,
        reason_kind: status.reason_kind,
        deadline_ns: status.deadline_ns,
        since: status.since,
        taken_at: sample.taken_at,
        monotonic_ns: sample.monotonic_ns,
        window_ns: sample.window.as_nanos() as u64,
        sequence: sample.sequence,
        missed: sample.missed.total(),
        missed_by: sample.missed,
        origin: &sample.origin,
        data: &sample.data,
    }
    .serialize(serializer)
}

pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<(Head, Option<T>), D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let read = Read::<T>::deserialize(deserializer)?;
    let status = StatusFields {
        status: read.status,
        age_ns: read.age_ns,
        reason: read.reason,
        reason_kind: read.reason_kind,
        deadline_ns: read.deadline_ns,
        since: read.since,
    };
    let status: Status = status.into_status()?;
    let metric = Metric::named(&read.metric, read.tier, read.kind, "");
    let head = Head {
        origin: read.origin,
        backend: read.backend,
        status,
        window: Duration::from_nanos(read.window_ns),
        sequence: read.sequence,
        missed: read.missed_by,
        ..Head::empty(metric, read.taken_at, read.monotonic_ns)
    };
    Ok((head, read.data))
}
