use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

use crate::metric::{AnySample, Metric, rfc3339};

/// Which metrics a snapshot has, and their maximum age.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SnapshotRequest {
    /// The metrics; `None` is all whose kind is state.
    pub metrics: Option<Vec<String>>,
    /// The maximum age of a reading; `None` is the pace that was configured for
    /// the metric, by default that of its tier. Zero is a new reading, see
    /// [`fresh`](Self::fresh). A metric is not collected below its floor: a
    /// reading that is younger than the floor is new.
    pub max_age: Option<Duration>,
}

impl SnapshotRequest {
    /// All metrics whose kind is state.
    pub fn all() -> Self {
        Self::default()
    }

    /// These metrics.
    pub fn of<S: Into<String>>(metrics: impl IntoIterator<Item = S>) -> Self {
        Self {
            metrics: Some(metrics.into_iter().map(Into::into).collect()),
            max_age: None,
        }
    }

    /// Readings that are made for this snapshot.
    #[must_use]
    pub fn fresh(self) -> Self {
        self.max_age(Duration::ZERO)
    }

    /// Readings that are no older than this.
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        Self {
            max_age: Some(max_age),
            ..self
        }
    }
}

/// Many metrics at once, each with its own time and status.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// The host name.
    pub host: Arc<str>,
    /// When the snapshot was requested.
    #[serde(with = "rfc3339")]
    pub taken_at: SystemTime,
    /// The samples, by the names of their metrics.
    #[serde(with = "by_name")]
    pub metrics: BTreeMap<Metric, AnySample>,
}

impl Snapshot {
    /// A snapshot of a host without samples, which can be added.
    pub fn new(host: impl Into<Arc<str>>, taken_at: SystemTime) -> Self {
        Self {
            host: host.into(),
            taken_at,
            metrics: BTreeMap::new(),
        }
    }
}

mod by_name {
    use super::{AnySample, BTreeMap, Deserializer, MapAccess, Metric, Serializer, Visitor, fmt};

    pub(super) fn serialize<S: Serializer>(
        metrics: &BTreeMap<Metric, AnySample>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let samples = metrics.iter();
        serializer.collect_map(samples.map(|(metric, sample)| (metric.name(), sample)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Metric, AnySample>, D::Error> {
        deserializer.deserialize_map(Samples)
    }

    struct Samples;

    impl<'de> Visitor<'de> for Samples {
        type Value = BTreeMap<Metric, AnySample>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("samples by the names of their metrics")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut samples = BTreeMap::new();
            while let Some((_name, sample)) = map.next_entry::<String, AnySample>()? {
                samples.insert(sample.metric.clone(), sample);
            }
            Ok(samples)
        }
    }
}
