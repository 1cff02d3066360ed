use serde::{Deserialize, Serialize};

use super::{Kind, MetricInfo, Preemption, Reading, Tier, heap::OwnedBytes as _};

/// How long tasks waited for a CPU, ran, and slept, as histograms.
///
/// Source: the scheduler's tracepoints; eBPF only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SchedLatency {
    /// One row for each CPU that has switched tasks since the programs were
    /// attached.
    pub cpus: Vec<CpuLatency>,
    /// The sum of all CPUs.
    pub total: CpuLatency,
    /// How often a task of one cgroup lost its CPU to a task of another while
    /// it could have gone on, since the programs were attached. `None` on a
    /// host whose processes are in cgroups of version 1 only.
    pub preemptions: Option<Vec<Preemption>>,
}

/// The histograms of one CPU, or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuLatency {
    /// The number of the CPU; `None` in the total.
    pub cpu: Option<u32>,
    /// From the wakeup, or the preemption, of a task until it got this CPU. Where
    /// the kernel counts it, a task that takes the CPU from another as it is
    /// woken has not waited: the few microseconds of the switch are left out.
    pub runqueue_wait: Option<LatencyHistogram>,
    /// From getting this CPU until leaving it.
    pub on_cpu: Option<LatencyHistogram>,
    /// From going to sleep until the wakeup, of tasks that then ran here.
    pub off_cpu: Option<LatencyHistogram>,
}

/// A log-linear histogram of durations.
///
/// The buckets are those that have been hit, in rising order. A bucket is at
/// most an eighth as wide as its lower bound, so a value told by its bucket's
/// middle is at most 6.25 % wrong, and by its bounds at most 12.5 %.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyHistogram {
    /// How many durations were counted.
    pub count: u64,
    /// Their sum, exact.
    pub sum_ns: u64,
    /// The buckets that have been hit.
    pub buckets: Vec<LatencyBucket>,
}

/// One bucket of a [`LatencyHistogram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyBucket {
    /// The shortest duration in this bucket.
    pub from_ns: u64,
    /// The shortest duration that is too long for this bucket.
    pub to_ns: u64,
    /// How many durations were in it.
    pub count: u64,
}

impl LatencyHistogram {
    /// The duration that the fraction `quantile` of all does not exceed: the
    /// upper bound of its bucket. `None` if nothing was counted.
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let rank = (quantile.clamp(0.0, 1.0) * self.count as f64)
            .ceil()
            .max(1.0) as u64;
        let mut seen = 0;
        for bucket in &self.buckets {
            seen += bucket.count;
            if seen >= rank {
                return Some(bucket.to_ns);
            }
        }
        self.buckets.last().map(|bucket| bucket.to_ns)
    }
}

impl Reading for SchedLatency {
    const METRIC: MetricInfo = MetricInfo {
        name: "sched_latency",
        tier: Tier::Fast,
        kind: Kind::State,
        help: "Histograms of run-queue wait, time on CPU and time off CPU, per CPU",
    };

    fn heap_bytes(&self) -> usize {
        let of = |cpu: &CpuLatency| {
            let buckets: usize = [&cpu.runqueue_wait, &cpu.on_cpu, &cpu.off_cpu]
                .into_iter()
                .flatten()
                .map(|histogram| histogram.buckets.capacity())
                .sum();
            buckets * size_of::<LatencyBucket>()
        };
        self.cpus.capacity() * size_of::<CpuLatency>()
            + self.cpus.iter().map(of).sum::<usize>()
            + of(&self.total)
            + self.preemptions.owned_bytes()
    }
}
