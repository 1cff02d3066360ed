//! The captured trees, and all collectors that read such a tree.

use std::{collections::BTreeMap, path::PathBuf};

use collector::{
    collectors::{CollectError, Collector, CollectorSet, add_procfs, add_tiers_1_and_2},
    metric::Reading,
    source::Tick,
};
use serde_json::Value;

/// The names of the trees.
pub(crate) const TREES: [&str; 3] = ["vm", "numa-server", "arm64-board"];

/// The path of a tree.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures")
        .join(name)
        .canonicalize()
        .unwrap()
}

/// The readings of one tick by metric.
pub(crate) fn collect_all(tick: &Tick) -> BTreeMap<&'static str, Result<Value, CollectError>> {
    let set = add_tiers_1_and_2(Readings {
        tick,
        readings: BTreeMap::new(),
    });
    add_procfs(set).0.readings
}

struct Readings<'a> {
    tick: &'a Tick,
    readings: BTreeMap<&'static str, Result<Value, CollectError>>,
}

impl CollectorSet for Readings<'_> {
    fn add<C: Collector>(mut self, mut collector: C) -> Self {
        let reading = collector
            .collect(self.tick)
            .map(|reading| serde_json::to_value(reading).unwrap());
        self.readings.insert(C::Reading::METRIC.name, reading);
        self
    }
}
