use std::{borrow::Borrow, cmp::Ordering, fmt, hash, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize};

use super::{Kind, MetricInfo, Reading, Tier, find};

/// A shared handle to the description of a metric, which may be one that this
/// build does not declare.
///
/// Cloning it copies a pointer. Two handles are equal if the metrics have the
/// same name.
#[derive(Clone)]
pub struct Metric(Description);

#[derive(Clone)]
enum Description {
    Declared(&'static MetricInfo),
    Foreign(Arc<Foreign>),
}

/// The description of a metric that no type of this build declares.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Metric")]
struct Foreign {
    name: Box<str>,
    tier: Tier,
    kind: Kind,
    #[serde(default)]
    help: Box<str>,
}

impl Metric {
    /// The metric of which `R` is a reading.
    pub const fn of<R: Reading>() -> Self {
        Self::declared(const { &R::METRIC })
    }

    /// A metric that a type of this build declares.
    pub const fn declared(info: &'static MetricInfo) -> Self {
        Self(Description::Declared(info))
    }

    /// The metric of the catalogue that has this name, else one that is not
    /// declared by this build: its readings are
    /// [untyped](super::UntypedReading).
    pub fn named(name: &str, tier: Tier, kind: Kind, help: &str) -> Self {
        match find(name) {
            Some(info) => Self::declared(info),
            None => Self(Description::Foreign(Arc::new(Foreign {
                name: name.into(),
                tier,
                kind,
                help: help.into(),
            }))),
        }
    }

    /// The name by which it is subscribed to: `cpu_stats`.
    pub fn name(&self) -> &str {
        match &self.0 {
            Description::Declared(info) => info.name,
            Description::Foreign(foreign) => &foreign.name,
        }
    }

    /// Its default pace.
    pub fn tier(&self) -> Tier {
        match &self.0 {
            Description::Declared(info) => info.tier,
            Description::Foreign(foreign) => foreign.tier,
        }
    }

    /// State or events.
    pub fn kind(&self) -> Kind {
        match &self.0 {
            Description::Declared(info) => info.kind,
            Description::Foreign(foreign) => foreign.kind,
        }
    }

    /// One sentence for help texts; empty if a remote did not send it.
    pub fn help(&self) -> &str {
        match &self.0 {
            Description::Declared(info) => info.help,
            Description::Foreign(foreign) => &foreign.help,
        }
    }

    /// The declaration of the metric in this build; `None` if there is none.
    pub fn info(&self) -> Option<&'static MetricInfo> {
        match &self.0 {
            Description::Declared(info) => Some(info),
            Description::Foreign(_) => None,
        }
    }
}

impl From<&'static MetricInfo> for Metric {
    fn from(info: &'static MetricInfo) -> Self {
        Self::declared(info)
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Metric {}

impl PartialOrd for Metric {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Metric {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl hash::Hash for Metric {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl Borrow<str> for Metric {
    fn borrow(&self) -> &str {
        self.name()
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metric")
            .field("name", &self.name())
            .field("tier", &self.tier())
            .field("kind", &self.kind())
            .field("declared", &self.info().is_some())
            .finish()
    }
}

impl Serialize for Metric {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename = "Metric")]
        struct Fields<'a> {
            name: &'a str,
            tier: Tier,
            kind: Kind,
            help: &'a str,
        }
        Fields {
            name: self.name(),
            tier: self.tier(),
            kind: self.kind(),
            help: self.help(),
        }
        .serialize(serializer)
    }
}

/// A metric of the catalogue is found by its name, whatever the other fields
/// say.
impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let foreign = Foreign::deserialize(deserializer)?;
        Ok(match find(&foreign.name) {
            Some(info) => Self::declared(info),
            None => Self(Description::Foreign(Arc::new(foreign))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::CpuStats;

    #[test]
    fn a_metric_of_the_catalog_is_declared_and_another_is_not() {
        let json = serde_json::to_string(&Metric::of::<CpuStats>()).unwrap();
        let cpus: Metric = serde_json::from_str(&json).unwrap();
        assert_eq!(cpus.info(), Some(&CpuStats::METRIC));

        let json = r#"{"name":"gpu_stats","tier":3,"kind":"state"}"#;
        let gpus: Metric = serde_json::from_str(json).unwrap();
        assert_eq!((gpus.name(), gpus.info()), ("gpu_stats", None));
        assert_eq!((gpus.tier(), gpus.kind()), (Tier::Fast, Kind::State));
        assert_ne!(gpus, cpus);
    }
}
