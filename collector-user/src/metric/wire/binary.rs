use std::{
    borrow::Cow,
    fmt,
    marker::PhantomData,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error as _, SeqAccess, Visitor},
    ser::SerializeTuple as _,
};

use super::Head;
use crate::metric::{Backend, Kind, Metric, Missed, Origin, Sample, Status, Tier, rfc3339};

/// What stands before the data. It has the name of the metric first, by which
/// the data can be read.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Head")]
struct Fields<'a> {
    #[serde(borrow)]
    metric: Cow<'a, str>,
    tier: Tier,
    kind: Kind,
    backend: Option<Backend>,
    status: Status,
    #[serde(with = "rfc3339")]
    taken_at: SystemTime,
    monotonic_ns: u64,
    window_ns: u64,
    sequence: u64,
    missed: Missed,
    origin: Arc<Origin>,
}

pub(super) fn serialize<T, S>(sample: &Sample<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    T: ?Sized + Serialize,
    S: Serializer,
{
    let fields = Fields {
        metric: sample.metric.name().into(),
        tier: sample.metric.tier(),
        kind: sample.metric.kind(),
        backend: sample.backend,
        status: sample.status.clone(),
        taken_at: sample.taken_at,
        monotonic_ns: sample.monotonic_ns,
        window_ns: sample.window.as_nanos() as u64,
        sequence: sample.sequence,
        missed: sample.missed,
        origin: Arc::clone(&sample.origin),
    };
    let mut tuple = serializer.serialize_tuple(2)?;
    tuple.serialize_element(&fields)?;
    tuple.serialize_element(&sample.data)?;
    tuple.end()
}

pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<(Head, Option<T>), D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserialize_with(deserializer, |_metric| Ok(PhantomData::<Option<T>>))
}

/// Reads a sample whose data `seed` reads, given its metric.
pub(super) fn deserialize_with<'de, D, V, F>(
    deserializer: D,
    seed: F,
) -> Result<(Head, V::Value), D::Error>
where
    D: Deserializer<'de>,
    V: DeserializeSeed<'de>,
    F: FnOnce(&Metric) -> Result<V, String>,
{
    deserializer.deserialize_tuple(2, Both(seed))
}

struct Both<F>(F);

impl<'de, V, F> Visitor<'de> for Both<F>
where
    V: DeserializeSeed<'de>,
    F: FnOnce(&Metric) -> Result<V, String>,
{
    type Value = (Head, V::Value);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sample: its head and its data")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut both: A) -> Result<Self::Value, A::Error> {
        let missing = |index| A::Error::invalid_length(index, &"a head and data");
        let fields: Fields<'_> = both.next_element()?.ok_or_else(|| missing(0))?;
        let metric = Metric::named(&fields.metric, fields.tier, fields.kind, "");
        let seed = (self.0)(&metric).map_err(A::Error::custom)?;
        let data = both.next_element_seed(seed)?.ok_or_else(|| missing(1))?;
        let head = Head {
            origin: fields.origin,
            backend: fields.backend,
            status: fields.status,
            window: Duration::from_nanos(fields.window_ns),
            sequence: fields.sequence,
            missed: fields.missed,
            ..Head::empty(metric, fields.taken_at, fields.monotonic_ns)
        };
        Ok((head, data))
    }
}
