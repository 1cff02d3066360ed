//! What does not change about one metric of the bus.

use std::{
    any::TypeId,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{health::Provider, taken::Taken};
use crate::{
    collectors::{CollectError, Collector, Cost},
    metric::{AnyReading, AnySample, Backend, Metric, Missed, Origin, Reading, Sample},
    source::{Tick, Timestamp},
};

/// What does not change about one metric of the bus.
#[derive(Debug)]
pub(super) struct TopicInfo {
    pub(super) metric: Metric,
    /// That of the bus, once it is built.
    pub(super) origin: Arc<Origin>,
    /// The type of its readings; `None` if this build does not declare it.
    pub(super) reading: Option<TypeId>,
    pub(super) backend: Backend,
    /// `None` if a producer publishes it.
    collected: Option<Box<Collected>>,
    /// The interval of a subscription that gives none, and the maximum age in a
    /// snapshot that gives none.
    pub(super) pace: u64,
}

/// A collector and its properties.
pub(super) struct Collected {
    /// Locked while it collects, so always free when the topic is not in flight.
    pub(super) collector: Mutex<Box<dyn AnyCollector>>,
    pub(super) sources: &'static [&'static str],
    pub(super) cost: Cost,
    pub(super) floor: Duration,
    pub(super) deadline: Duration,
}

/// A [`Collector`] whose reading is not known at compile time.
pub(super) trait AnyCollector: Send {
    fn collect(&mut self, tick: &Tick) -> Result<Arc<dyn AnyReading>, CollectError>;
}

impl<C: Collector> AnyCollector for C {
    fn collect(&mut self, tick: &Tick) -> Result<Arc<dyn AnyReading>, CollectError> {
        Ok(Arc::new(Collector::collect(self, tick)?))
    }
}

impl TopicInfo {
    pub(super) fn collected_by<C: Collector>(collector: C) -> Self {
        let backend = collector.backend();
        let collected = Collected {
            sources: collector.sources(),
            cost: collector.cost(),
            floor: collector.floor(),
            deadline: collector.deadline(),
            collector: Mutex::new(Box::new(collector)),
        };
        Self {
            reading: Some(TypeId::of::<C::Reading>()),
            collected: Some(Box::new(collected)),
            ..Self::published_any(Metric::of::<C::Reading>(), backend)
        }
    }

    pub(super) fn published<R: Reading>(backend: Backend) -> Self {
        Self {
            reading: Some(TypeId::of::<R>()),
            ..Self::published_any(Metric::of::<R>(), backend)
        }
    }

    pub(super) fn published_any(metric: Metric, backend: Backend) -> Self {
        Self {
            pace: metric.tier().default_interval().as_nanos() as u64,
            metric,
            origin: Origin::unknown(),
            reading: None,
            backend,
            collected: None,
        }
    }

    /// The collector of the metric; `None` if a producer publishes it.
    pub(super) fn collected(&self) -> Option<&Collected> {
        self.collected.as_deref()
    }

    pub(super) fn is_collected(&self) -> bool {
        self.collected.is_some()
    }

    pub(super) fn is_heavy(&self) -> bool {
        self.collected()
            .is_some_and(|collected| collected.cost == Cost::Heavy)
    }

    /// The shortest interval at which it may be collected.
    pub(super) fn floor(&self) -> Duration {
        self.collected()
            .map_or(Duration::ZERO, |collected| collected.floor)
    }

    pub(super) fn provider(&self) -> Provider {
        if self.is_collected() {
            Provider::Collector
        } else {
            Provider::Producer
        }
    }

    /// The name of the metric, if this build declares it, as it does of each
    /// that a collector yields.
    pub(super) fn declared(&self) -> Option<&'static str> {
        self.metric.info().map(|info| info.name)
    }

    /// A sample of this metric without anything.
    pub(super) fn empty(&self, at: Timestamp) -> AnySample {
        Sample {
            origin: Arc::clone(&self.origin),
            ..Sample::empty(self.metric.clone(), at.wall, at.monotonic_ns)
        }
    }

    /// A sample with a reading.
    pub(super) fn sample(
        &self,
        reading: Arc<dyn AnyReading>,
        taken: Taken,
        sequence: u64,
    ) -> AnySample {
        Sample {
            backend: Some(self.backend),
            window: taken.window,
            sequence,
            data: Some(reading),
            ..self.empty(taken.at)
        }
    }

    /// A sample that only says what was missed.
    pub(super) fn gap(&self, sequence: u64, missed: Missed, at: Timestamp) -> AnySample {
        Sample {
            backend: Some(self.backend),
            sequence,
            missed,
            ..self.empty(at)
        }
    }
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collected")
            .field("sources", &self.sources)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}
