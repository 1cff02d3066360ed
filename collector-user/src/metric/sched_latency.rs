use serde::{Deserialize, Serialize};

use super::{Preemption, Reading, Record};

/// Histograms of run-queue wait, on-CPU time and off-CPU time, per CPU.
///
/// Source: the scheduler tracepoints; eBPF only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Reading)]
#[metric(name = "sched_latency", tier = "fast", sources())]
pub struct SchedLatency {
    /// One row per CPU that has switched tasks since the programs were attached.
    #[field(1)]
    pub cpus: Vec<CpuLatency>,
    /// The sum over all CPUs.
    #[field(2)]
    pub total: CpuLatency,
    /// Preemptions between cgroups since the programs were attached. `None` on a host whose
    /// processes are in cgroups of version 1 only.
    #[field(3)]
    pub preemptions: Option<Vec<Preemption>>,
}

/// The histograms of one CPU, or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
pub struct CpuLatency {
    /// CPU number; `None` in the total.
    #[field(1, key)]
    pub cpu: Option<u32>,
    /// Run-queue wait: from the wakeup or preemption of a task until it is on this CPU. Where the
    /// kernel counts it, a task that preempts another at its wakeup has not waited: the few
    /// microseconds of the switch are left out.
    #[field(2)]
    pub runqueue_wait: Option<LatencyHistogram>,
    /// On-CPU time: from switch-in to switch-out.
    #[field(3)]
    pub on_cpu: Option<LatencyHistogram>,
    /// Off-CPU time in sleep: from switch-out to wakeup, of tasks that then ran on this CPU.
    #[field(4)]
    pub off_cpu: Option<LatencyHistogram>,
}

/// A log-linear histogram of durations.
///
/// Only buckets that were hit are listed, in rising order. A bucket is at most an eighth as wide as
/// its lower bound, so the error is at most 6.25 % for the middle of a bucket, and 12.5 % for its
/// bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
pub struct LatencyHistogram {
    /// Number of durations.
    #[field(1, counter)]
    pub count: u64,
    /// Their exact sum.
    #[field(2, counter)]
    pub sum_ns: u64,
    /// The buckets that were hit.
    #[field(3)]
    pub buckets: Vec<LatencyBucket>,
}

/// One bucket of a [`LatencyHistogram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Record)]
pub struct LatencyBucket {
    /// Lower bound, inclusive.
    #[field(1, key)]
    pub from_ns: u64,
    /// Upper bound, exclusive.
    #[field(2)]
    pub to_ns: u64,
    /// Number of durations in it.
    #[field(3, counter)]
    pub count: u64,
}

impl LatencyHistogram {
    /// The `quantile` (0 to 1) of the durations: the upper bound of its bucket.
    /// `None` for an empty histogram.
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
