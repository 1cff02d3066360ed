//! The histograms of the CPUs, and who lost one to whom.

use collector_ebpf::{BUCKETS, Histogram, Latency, bucket_bounds};

use super::State;
use crate::metric::{CpuLatency, LatencyBucket, LatencyHistogram, Preemption, SchedLatency};

impl State {
    pub(in crate::source::ebpf) fn sched_latency(&self) -> SchedLatency {
        let known = self.known();
        let none = Histogram {
            sum_ns: 0,
            buckets: [0; BUCKETS],
        };
        let mut total = Latency {
            runqueue_wait: none,
            on_cpu: none,
            off_cpu: none,
        };
        let row = |cpu, latency: &Latency| CpuLatency {
            cpu,
            runqueue_wait: known.runqueue.then(|| histogram(&latency.runqueue_wait)),
            on_cpu: Some(histogram(&latency.on_cpu)),
            off_cpu: known.blocked.then(|| histogram(&latency.off_cpu)),
        };
        let mut cpus = Vec::new();
        for index in 0..self.cpus.len() {
            let Some(cpu) = self
                .cpus
                .read(index)
                .filter(|cpu| cpu.counters.since_ns != 0)
            else {
                continue;
            };
            let latency = &cpu.latency;
            add(&mut total.runqueue_wait, &latency.runqueue_wait);
            add(&mut total.on_cpu, &latency.on_cpu);
            add(&mut total.off_cpu, &latency.off_cpu);
            cpus.push(row(Some(index), latency));
        }
        SchedLatency {
            cpus,
            total: row(None, &total),
            preemptions: self.preemptions(),
        }
    }

    /// Who lost a CPU to whom, if the numbers of version 2 tell cgroups apart
    /// on this host.
    fn preemptions(&self) -> Option<Vec<Preemption>> {
        let cgroups = self.accounts.cgroups();
        (self.known().cgroups && cgroups.are_numbered()).then(|| self.preemptions.rows(cgroups))
    }
}

/// Adds what one CPU counted to what others did.
fn add(total: &mut Histogram, cpu: &Histogram) {
    total.sum_ns = total.sum_ns.saturating_add(cpu.sum_ns);
    for (total, count) in total.buckets.iter_mut().zip(cpu.buckets) {
        *total += count;
    }
}

fn histogram(counted: &Histogram) -> LatencyHistogram {
    let buckets: Vec<LatencyBucket> = counted
        .buckets
        .iter()
        .enumerate()
        .filter(|&(_bucket, &count)| count > 0)
        .map(|(bucket, &count)| {
            let (from_ns, to_ns) = bucket_bounds(bucket);
            LatencyBucket {
                from_ns,
                to_ns,
                count,
            }
        })
        .collect();
    LatencyHistogram {
        count: buckets.iter().map(|bucket| bucket.count).sum(),
        sum_ns: counted.sum_ns,
        buckets,
    }
}
