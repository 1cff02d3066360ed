use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use crate::{
    bus::{AnySubscription, Bus, SubscribeError, every},
    metric::{AnySample, Kind, MetricInfo, Tier},
};

/// Holds the latest sample of every metric whose kind is state, for whoever
/// exports them.
///
/// It is a stream subscriber: each metric comes at its own pace. It costs one
/// task a metric, and copies no reading.
#[derive(Clone, Debug)]
pub struct MetricsManager {
    latest: Latest,
    /// The metrics whose first sample has to be there before the agent is
    /// ready: those of tiers 2 and 3.
    expected: Arc<[&'static MetricInfo]>,
}

type Latest = Arc<RwLock<BTreeMap<&'static str, AnySample>>>;

impl MetricsManager {
    /// Subscribes to every metric on the bus at the pace that `pace` gives it,
    /// until the bus is shut down.
    ///
    /// # Errors
    ///
    /// When the bus has been shut down, or a pace is out of bounds.
    pub fn start(
        bus: &Bus,
        pace: impl Fn(&MetricInfo) -> Duration,
    ) -> Result<Self, SubscribeError> {
        let metrics = bus.metrics().into_iter();
        let metrics: Vec<_> = metrics
            .filter(|metric| metric.kind == Kind::State)
            .collect();
        let latest = Latest::default();
        for metric in &metrics {
            let subscription = bus.subscribe_any(metric.name, every(pace(metric)))?;
            tokio::spawn(keep(subscription, Arc::clone(&latest)));
        }
        let expected = metrics.into_iter();
        Ok(Self {
            latest,
            expected: expected
                .filter(|metric| metric.tier != Tier::Hardware)
                .collect(),
        })
    }

    /// The latest samples. The readings are shared, not copied.
    pub fn latest(&self) -> BTreeMap<&'static str, AnySample> {
        self.latest
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The metrics of tiers 2 and 3 of which there is neither a reading nor a
    /// reason why there is none.
    pub fn awaited(&self) -> Vec<&'static str> {
        let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
        let awaited = self.expected.iter().map(|metric| metric.name);
        awaited.filter(|name| !latest.contains_key(name)).collect()
    }
}

async fn keep(mut subscription: AnySubscription, latest: Latest) {
    while let Ok(sample) = subscription.recv().await {
        latest
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(sample.metric.name, sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        collector::{CollectError, Collector},
        metric::{CpuStats, LoadAvg, Reading, Status},
        source::Tick,
    };

    struct Gives<R>(R);

    impl<R: Reading + Clone> Collector for Gives<R> {
        type Reading = R;

        fn sources(&self) -> &'static [&'static str] {
            &[]
        }

        fn collect(&mut self, _tick: &Tick) -> Result<R, CollectError> {
            Ok(self.0.clone())
        }
    }

    struct Fails;

    impl Collector for Fails {
        type Reading = LoadAvg;

        fn sources(&self) -> &'static [&'static str] {
            &[]
        }

        fn collect(&mut self, _tick: &Tick) -> Result<LoadAvg, CollectError> {
            Err(CollectError::other("there is no load"))
        }
    }

    #[tokio::test]
    async fn it_is_complete_once_each_metric_has_a_reading_or_a_reason() {
        let bus = Bus::builder()
            .collector(Gives(CpuStats::default()))
            .collector(Fails)
            .build()
            .unwrap();
        let manager = MetricsManager::start(&bus, |_| Duration::from_secs(1)).unwrap();
        assert_eq!(manager.awaited(), ["load_avg", "cpu_stats"]);
        let complete = async {
            while !manager.awaited().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), complete)
            .await
            .unwrap();
        let latest = manager.latest();
        assert_eq!(latest["cpu_stats"].status, Status::Ok);
        assert!(matches!(
            latest["load_avg"].status,
            Status::Unavailable { .. }
        ));
        bus.shutdown().await;
    }
}
