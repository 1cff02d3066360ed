use std::{borrow::Cow, sync::atomic::Ordering, time::SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    core::Core,
    counters::Counters,
    health::{Health, Provider},
    mode::Mode,
    topic::Topic,
};
use crate::{
    collectors::Cost,
    metric::{Backend, Kind, Tier},
    source::SourceStats,
};

/// The status of a bus and of its metrics.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BusStatus {
    /// What begins collections, and what they share.
    pub mode: Mode,
    /// Ticks so far: each is one or more collections that share what they read.
    pub ticks: u64,
    /// The subscriptions there are.
    pub subscriptions: usize,
    /// The bytes of all cached readings, as the readings themselves count them.
    pub cache_bytes: usize,
    /// The bytes that they may take together. Above it, lists are cut; what
    /// has no list that can be cut is kept whole.
    pub cache_budget_bytes: usize,
    /// Readings that were cut to fit.
    pub cache_cuts: u64,
    /// The bytes of the readings that wait in queues, each counted once. They
    /// count against the budget too.
    pub queued_bytes: usize,
    /// Why nothing is collected any more; `None` while the bus runs.
    pub ended: Option<String>,
    /// How long ago the scheduler last looked at what is due; `None` before
    /// its first time. It looks whenever something is due.
    pub scheduler_age_ns: Option<u64>,
    /// What reading has cost.
    pub sources: SourceStats,
    /// Threads that are blocked now in a read of a file of a process, which
    /// that process keeps from returning. What is read there is unknown; the
    /// rest goes on.
    pub blocked_reads: usize,
    /// Such reads since the start, those included that have returned.
    pub late_reads: u64,
    /// One row a metric, by tier and name.
    pub metrics: Vec<MetricStatus>,
}

/// Declares [`MetricStatus`], and the same fields for formats that do not
/// describe themselves, in which a struct cannot be flattened.
macro_rules! metric_status {
    ($($(#[$meta:meta])* $field:ident: $type:ty,)*) => {
        /// The status of one metric.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(remote = "Self")]
        #[non_exhaustive]
        pub struct MetricStatus {
            $($(#[$meta])* pub $field: $type,)*
            /// What was counted since the start.
            #[serde(flatten)]
            pub counters: Counters,
        }

        #[derive(Serialize, Deserialize)]
        #[serde(rename = "MetricStatus")]
        struct Ordered {
            $($(#[$meta])* $field: $type,)*
            counters: Counters,
        }

        impl From<MetricStatus> for Ordered {
            fn from(status: MetricStatus) -> Self {
                Self { $($field: status.$field,)* counters: status.counters }
            }
        }

        impl From<Ordered> for MetricStatus {
            fn from(status: Ordered) -> Self {
                Self { $($field: status.$field,)* counters: status.counters }
            }
        }
    };
}

metric_status! {
    /// The metric.
    name: String,
    /// Its default pace.
    tier: Tier,
    /// State or events.
    kind: Kind,
    /// What its readings are made from.
    backend: Backend,
    /// Whether the bus collects it, or a producer publishes it.
    #[serde(rename = "origin")]
    provider: Provider,
    /// What its collector reads.
    sources: Vec<Cow<'static, str>>,
    /// What one collection costs; `None` if it is published.
    cost: Option<Cost>,
    /// How it is.
    health: Health,
    /// Why there is no reading; `None` if there is.
    reason: Option<String>,
    /// Since when there has been none.
    #[serde(with = "crate::metric::rfc3339::option")]
    since: Option<SystemTime>,
    /// Failures since the last reading.
    failures_in_a_row: u32,
    /// The subscriptions to it.
    subscriptions: usize,
    /// The interval at which it is collected; `None` without a subscription.
    pace_ns: Option<u64>,
    /// The interval of a subscription that gives none, and the maximum age in a
    /// snapshot that gives none.
    default_interval_ns: u64,
    /// The shortest interval at which it is collected.
    floor_ns: u64,
    /// Age of the last sample, also if it is unavailable; `None` before the first
    /// reading; `None` if there was none yet.
    sample_age_ns: Option<u64>,
    /// The age of the cached reading.
    cache_age_ns: Option<u64>,
    /// The bytes of the cached reading.
    cache_bytes: usize,
    /// The number of its last sample.
    sequence: u64,
}

impl Serialize for MetricStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            Self::serialize(self, serializer)
        } else {
            Ordered::from(self.clone()).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for MetricStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Self::deserialize(deserializer)
        } else {
            Ok(Ordered::deserialize(deserializer)?.into())
        }
    }
}

pub(super) fn of(core: &Core) -> BusStatus {
    let metrics: Vec<_> = core
        .topics
        .iter()
        .map(|topic| metric(core, topic))
        .collect();
    let last_step = core.last_step_ns.load(Ordering::Relaxed);
    let last_step = (last_step > 0).then_some(last_step);
    BusStatus {
        mode: core.sharing.mode(),
        ticks: core.ticks.load(Ordering::Relaxed),
        subscriptions: metrics.iter().map(|metric| metric.subscriptions).sum(),
        cache_bytes: metrics.iter().map(|metric| metric.cache_bytes).sum(),
        cache_budget_bytes: core.budget.bytes,
        cache_cuts: core.budget.cuts(),
        queued_bytes: core.budget.queued_bytes(),
        ended: core.end.why().map(|why| why.to_string()),
        scheduler_age_ns: last_step.map(|at| core.clock.now().boottime_ns.saturating_sub(at)),
        sources: core.sources.stats(),
        blocked_reads: core.sources.blocked_reads(),
        late_reads: core.sources.late_reads(),
        metrics,
    }
}

fn metric(core: &Core, topic: &Topic) -> MetricStatus {
    let info = &topic.info;
    let collected = info.collected();
    let sources = collected.map_or(&[][..], |collected| collected.sources);
    let state = topic.state(core.timeline.now_ns());
    let failing = state.failing.as_ref();
    let cached = state.cached.as_ref();
    let now = core.clock.now();
    MetricStatus {
        name: info.metric.name().to_owned(),
        tier: info.metric.tier(),
        kind: info.metric.kind(),
        backend: info.backend,
        provider: info.provider(),
        sources: sources.iter().map(|&source| source.into()).collect(),
        cost: collected.map(|collected| collected.cost),
        health: state.health(),
        reason: failing.map(|failing| failing.reason.to_string()),
        since: failing.map(|failing| failing.since),
        failures_in_a_row: state.schedule.failures(),
        subscriptions: state.subscribers.len(),
        pace_ns: state.schedule.pace(),
        default_interval_ns: info.pace,
        floor_ns: state.schedule.floor(),
        sample_age_ns: state
            .last_sample_ns
            .map(|at| now.boottime_ns.saturating_sub(at)),
        cache_age_ns: cached.map(|cached| cached.age_ns(now)),
        cache_bytes: cached.map_or(0, |cached| cached.bytes),
        sequence: state.sequence,
        counters: state.counters,
    }
}
