use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::runtime::Handle;

use super::{
    budget,
    core::{Core, Sharing},
    handle::Bus,
    scheduler::{self, Shared},
    topic::Topic,
    topic_info::TopicInfo,
};
use crate::{
    collectors::Collector,
    feed::VALID_INTERVALS,
    metric::{Backend, Metric, Origin, Reading},
    source::{Clock, Sources, SystemClock},
};

impl Bus {
    /// A bus with nothing on it yet.
    pub fn builder() -> BusBuilder {
        BusBuilder::default()
    }
}

/// Makes a [`Bus`].
#[derive(Debug)]
pub struct BusBuilder {
    sharing: Box<dyn Sharing>,
    cache_bytes: usize,
    sources: Sources,
    clock: Arc<dyn Clock>,
    host: Option<Arc<str>>,
    topics: Vec<TopicInfo>,
    paces: Vec<(String, Duration)>,
}

impl Default for BusBuilder {
    fn default() -> Self {
        Self {
            sharing: Box::new(Shared),
            cache_bytes: budget::DEFAULT,
            sources: Sources::live(),
            clock: Arc::new(SystemClock),
            host: None,
            topics: Vec::new(),
            paces: Vec::new(),
        }
    }
}

impl BusBuilder {
    /// Reads this tree instead of the live one.
    #[must_use]
    pub fn sources(self, sources: Sources) -> Self {
        Self { sources, ..self }
    }

    /// Begins collections in this way.
    pub(super) fn sharing(self, sharing: Box<dyn Sharing>) -> Self {
        Self { sharing, ..self }
    }

    /// How many bytes the cached readings may take together; 32 MiB unless
    /// set. When they would take more, the lists of the largest are cut.
    #[must_use]
    pub fn cache_budget(self, cache_bytes: usize) -> Self {
        Self {
            cache_bytes,
            ..self
        }
    }

    /// Takes the times on samples from this clock instead of the host's.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// The host name in snapshots and in the origin of samples; that of the
    /// tree unless set.
    #[must_use]
    pub fn host(self, host: impl Into<Arc<str>>) -> Self {
        Self {
            host: Some(host.into()),
            ..self
        }
    }

    /// Adds a collector. A metric has one collector or one producer.
    #[must_use]
    pub fn collector<C: Collector>(self, collector: C) -> Self {
        self.topic(TopicInfo::collected_by(collector))
    }

    /// Adds a metric whose readings a producer publishes.
    #[must_use]
    pub fn producer<R: Reading>(self, backend: Backend) -> Self {
        self.topic(TopicInfo::published::<R>(backend))
    }

    /// Adds a metric that is known by name only, whose samples a producer
    /// publishes with an [`AnyPublisher`](super::AnyPublisher).
    #[must_use]
    pub fn producer_any(self, metric: impl Into<Metric>, backend: Backend) -> Self {
        self.topic(TopicInfo::published_any(metric.into(), backend))
    }

    /// The pace of a metric: the interval of subscriptions that give none, and
    /// the maximum age in snapshots that give none. It is that of its tier
    /// unless set, and not below the floor of the collector.
    #[must_use]
    pub fn pace(mut self, metric: impl Into<String>, interval: Duration) -> Self {
        self.paces.push((metric.into(), interval));
        self
    }

    fn topic(mut self, topic: TopicInfo) -> Self {
        self.topics.push(topic);
        self
    }

    /// Starts the bus on the current tokio runtime, which must have its timer
    /// enabled ([`enable_time`](tokio::runtime::Builder::enable_time)). The
    /// bus makes its own threads for collections when they are needed.
    ///
    /// # Errors
    ///
    /// When there is no runtime, or one without a timer; when two collectors
    /// or producers have the same metric, or one has no name; when a pace is
    /// that of no metric, or is out of range.
    pub fn build(mut self) -> Result<Bus, BuildError> {
        let runtime = Handle::try_current().map_err(|_error| BuildError::NoRuntime)?;
        if !has_timer() {
            return Err(BuildError::NoTimer);
        }
        self.topics
            .sort_by_cached_key(|topic| (topic.metric.tier(), topic.metric.clone()));
        check_names(&self.topics)?;
        set_paces(&mut self.topics, self.paces)?;
        let host = match self.host {
            Some(host) => host,
            None => self.sources.host_name().unwrap_or_else(|| "unknown".into()),
        };
        let (machine_id, boot_id) = (self.sources.machine_id(), self.sources.boot_id());
        let origin = Arc::new(Origin::new(host, machine_id, boot_id));
        for topic in &mut self.topics {
            topic.origin = Arc::clone(&origin);
        }
        let core = Arc::new(Core::new(
            self.topics.into_iter().map(Topic::new).collect(),
            self.sharing,
            self.cache_bytes,
            self.sources,
            self.clock,
            runtime,
            origin,
        ));
        scheduler::start(&core);
        Ok(Bus::new(core))
    }
}

/// A bus cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// It was not called on a tokio runtime.
    #[error("there is no tokio runtime: call it inside `block_on`, or after `Handle::enter`")]
    NoRuntime,
    /// The runtime has no timer.
    #[error("the tokio runtime has no timer: build it with `enable_time` or `enable_all`")]
    NoTimer,
    /// A metric has no name.
    #[error("a metric has an empty name")]
    NoName,
    /// Two collectors or producers yield the same metric.
    #[error("the metric {0:?} has more than one collector or producer")]
    Doubled(String),
    /// A pace was set for a metric that is not on the bus.
    #[error("a pace is set for {name:?}, which is not on the bus; there are {}", known.join(", "))]
    UnknownMetric {
        /// The name.
        name: String,
        /// The names of the metrics on the bus.
        known: Vec<String>,
    },
    /// A pace is out of the valid range of intervals.
    #[error("the pace {pace:?} of {metric} is not between 1 ms and 1 day")]
    BadPace {
        /// The metric.
        metric: String,
        /// The interval.
        pace: Duration,
    },
}

/// Whether the current runtime has a timer. Without one, tokio panics.
fn has_timer() -> bool {
    std::panic::catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok()
}

fn check_names(topics: &[TopicInfo]) -> Result<(), BuildError> {
    let mut names = BTreeSet::new();
    for topic in topics {
        if topic.metric.name().is_empty() {
            return Err(BuildError::NoName);
        }
        if !names.insert(topic.metric.name()) {
            return Err(BuildError::Doubled(topic.metric.name().to_owned()));
        }
    }
    Ok(())
}

fn set_paces(topics: &mut [TopicInfo], paces: Vec<(String, Duration)>) -> Result<(), BuildError> {
    for (name, pace) in paces {
        let Some(at) = topics.iter().position(|topic| topic.metric.name() == name) else {
            return Err(BuildError::UnknownMetric {
                name,
                known: topics
                    .iter()
                    .map(|topic| topic.metric.name().to_owned())
                    .collect(),
            });
        };
        let topic = &mut topics[at];
        if !VALID_INTERVALS.contains(&pace) {
            return Err(BuildError::BadPace {
                metric: topic.metric.name().to_owned(),
                pace,
            });
        }
        topic.pace = pace.max(topic.floor()).as_nanos() as u64;
    }
    Ok(())
}

impl crate::collectors::CollectorSet for BusBuilder {
    fn add<C: Collector>(self, collector: C) -> Self {
        self.collector(collector)
    }
}
