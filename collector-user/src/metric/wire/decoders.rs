use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock},
};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, Visitor},
};
use serde_json::Value;

use super::{binary, json};
use crate::metric::{
    AnyReading, AnySample, MetricInfo, Reading, ReadingVisitor, UntypedReading, visit_readings,
};

/// What decodes readings by the names of their metrics.
///
/// A reading of a metric that is not among them is
/// [untyped](UntypedReading) in a self-describing format, and an error in one
/// that does not describe itself.
///
/// ```
/// use collector::metric::{AnySample, CpuStats, Decoders, Sample};
/// use serde::de::DeserializeSeed as _;
///
/// let sample = Sample::new(CpuStats::default(), std::time::SystemTime::now(), 1);
/// let json = serde_json::to_string(&sample)?;
/// // As `serde_json::from_str::<AnySample>`, with the metrics of one's own.
/// let decoders = Decoders::catalog().with::<CpuStats>();
/// let mut deserializer = serde_json::Deserializer::from_str(&json);
/// let sample: AnySample = decoders.deserialize(&mut deserializer)?;
/// assert!(sample.downcast::<CpuStats>().is_some());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct Decoders {
    by_name: BTreeMap<&'static str, Decoder>,
}

/// Decodes the readings of one metric.
#[derive(Clone, Copy)]
struct Decoder {
    info: &'static MetricInfo,
    from_value: fn(Value) -> Decoded<serde_json::Error>,
    from_binary: fn(&mut dyn erased_serde::Deserializer<'_>) -> Decoded<erased_serde::Error>,
}

type Decoded<E> = Result<Arc<dyn AnyReading>, E>;

impl Decoder {
    fn of<R: Reading>() -> Self {
        Self {
            info: const { &R::METRIC },
            from_value: |value| Ok(Arc::new(serde_json::from_value::<R>(value)?)),
            from_binary: |bytes| Ok(Arc::new(erased_serde::deserialize::<R>(bytes)?)),
        }
    }
}

impl Decoders {
    /// The decoders of the metrics of the [catalogue](crate::metric::CATALOG).
    pub fn catalog() -> Self {
        let mut decoders = Self {
            by_name: BTreeMap::new(),
        };
        visit_readings(&mut decoders);
        decoders
    }

    /// These, and the metric of which `R` is a reading.
    #[must_use]
    pub fn with<R: Reading>(mut self) -> Self {
        self.visit::<R>();
        self
    }

    pub(super) fn of_catalog() -> &'static Self {
        static CATALOG: LazyLock<Decoders> = LazyLock::new(Decoders::catalog);
        &CATALOG
    }
}

impl ReadingVisitor for Decoders {
    fn visit<R: Reading>(&mut self) {
        self.by_name.insert(R::METRIC.name, Decoder::of::<R>());
    }
}

impl fmt::Debug for Decoders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl<'de> DeserializeSeed<'de> for &Decoders {
    type Value = AnySample;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<AnySample, D::Error> {
        if deserializer.is_human_readable() {
            let (mut head, value) = json::deserialize::<Value, D>(deserializer)?;
            let decoder = self.by_name.get(head.metric.name());
            if let Some(decoder) = decoder {
                head.metric = decoder.info.into();
            }
            let data = match (value, decoder) {
                (None, _) => None,
                (Some(value), Some(decoder)) => {
                    Some((decoder.from_value)(value).map_err(D::Error::custom)?)
                }
                (Some(value), None) => Some(Arc::new(UntypedReading {
                    metric: head.metric.clone(),
                    value,
                }) as Arc<dyn AnyReading>),
            };
            return Ok(head.with_data(data));
        }
        let (mut head, data) = binary::deserialize_with(deserializer, |metric| {
            let decoder = self.by_name.get(metric.name()).copied();
            decoder.ok_or_else(|| {
                format!(
                    "the metric {:?} is unknown to this build, which can read it only in a format that describes itself",
                    metric.name()
                )
            })
        })?;
        if let Some(decoder) = self.by_name.get(head.metric.name()) {
            head.metric = decoder.info.into();
        }
        Ok(head.with_data(data))
    }
}

impl<'de> DeserializeSeed<'de> for Decoder {
    type Value = Option<Arc<dyn AnyReading>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Decoder {
    type Value = Option<Arc<dyn AnyReading>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a reading of {}, or none", self.info.name)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let mut erased = <dyn erased_serde::Deserializer<'_>>::erase(deserializer);
        (self.from_binary)(&mut erased)
            .map(Some)
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::CATALOG;

    #[test]
    fn each_metric_of_the_catalog_has_a_decoder() {
        let names: Vec<_> = Decoders::catalog().by_name.into_keys().collect();
        let mut catalog: Vec<_> = CATALOG.iter().map(|metric| metric.name).collect();
        catalog.sort_unstable();
        assert_eq!(names, catalog);
    }
}
