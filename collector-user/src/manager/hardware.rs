use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use serde_json::Value;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use super::{Change, changes};
use crate::{
    bus::{Bus, Snapshot, SnapshotRequest},
    metric::{Metric, Tier},
};

/// Holds the last snapshot of the hardware, and logs what changed in it.
///
/// It is a batch consumer: all metrics of tier 1 at once, every five minutes
/// or at the configured interval.
#[derive(Clone, Debug)]
pub struct HardwareManager {
    last: Arc<RwLock<Option<Snapshot>>>,
}

impl HardwareManager {
    /// Takes snapshots at the fastest pace that the bus has for a metric of
    /// tier 1, the first at once, until the bus ends.
    pub fn start(bus: &Bus) -> Self {
        let manager = Self {
            last: Arc::default(),
        };
        bus.runtime().spawn(manager.clone().run(bus.clone()));
        manager
    }

    /// The last snapshot; `None` before there is one.
    pub fn last(&self) -> Option<Snapshot> {
        self.last
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn run(self, bus: Bus) {
        let metrics = bus.status().metrics.into_iter();
        let metrics: Vec<_> = metrics
            .filter(|metric| metric.tier == Tier::Hardware)
            .collect();
        let names: Vec<_> = metrics.iter().map(|metric| metric.name.clone()).collect();
        let paces = metrics.iter().map(|metric| metric.default_interval_ns);
        let Some(pace) = paces.min().map(Duration::from_nanos) else {
            return;
        };
        let mut ticks = tokio::time::interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known: BTreeMap<Metric, Value> = BTreeMap::new();
        loop {
            ticks.tick().await;
            let request = SnapshotRequest::of(names.iter().cloned());
            let Ok(snapshot) = bus.snapshot(request).await else {
                return;
            };
            for change in take_in(&mut known, &snapshot) {
                info!(target: "collector::hardware", "{change}");
            }
            *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
        }
    }
}

/// What is new in a snapshot. A metric without a reading has not changed.
fn take_in(known: &mut BTreeMap<Metric, Value>, snapshot: &Snapshot) -> Vec<Change> {
    let mut found = Vec::new();
    for (metric, sample) in &snapshot.metrics {
        let Some(data) = &sample.data else { continue };
        let after = match serde_json::to_value(data) {
            Ok(after) => after,
            Err(error) => {
                warn!("the reading of {metric} cannot be compared: {error}");
                continue;
            }
        };
        if let Some(before) = known.get(metric) {
            let record = data.schema().map(|schema| schema.record);
            found.extend(changes(metric.name(), record, before, &after));
        }
        known.insert(metric.clone(), after);
    }
    found
}
