//! The histograms of the CPUs, and who lost one to whom.

use collector_ebpf::{BUCKETS, Cpu, CpuCounters, Histogram, Latency, bucket_bounds};

use super::State;
use crate::metric::{CpuLatency, LatencyBucket, LatencyHistogram, Preemption, SchedLatency};

impl State {
    pub(in crate::source::ebpf) fn sched_latency(&self) -> SchedLatency {
        let known = self.known();
        let mut total = Cpu {
            counters: CpuCounters::default(),
            latency: Latency::NONE,
        };
        let row = |number, Cpu { counters, latency }: &Cpu| CpuLatency {
            cpu: number,
            runqueue_wait: known
                .runqueue
                .then(|| histogram(counters.runqueue_wait_ns, &latency.runqueue_wait)),
            on_cpu: Some(histogram(counters.on_cpu_ns, &latency.on_cpu)),
            off_cpu: known
                .blocked
                .then(|| histogram(counters.off_cpu_ns, &latency.off_cpu)),
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
            add(&mut total, &cpu);
            cpus.push(row(Some(index), &cpu));
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
fn add(total: &mut Cpu, cpu: &Cpu) {
    let (sums, counters) = (&mut total.counters, &cpu.counters);
    let add = |sum: &mut u64, one: u64| *sum = sum.saturating_add(one);
    add(&mut sums.runqueue_wait_ns, counters.runqueue_wait_ns);
    add(&mut sums.on_cpu_ns, counters.on_cpu_ns);
    add(&mut sums.off_cpu_ns, counters.off_cpu_ns);
    let (total, one) = (&mut total.latency, &cpu.latency);
    for bucket in 0..BUCKETS {
        total.runqueue_wait[bucket] += one.runqueue_wait[bucket];
        total.on_cpu[bucket] += one.on_cpu[bucket];
        total.off_cpu[bucket] += one.off_cpu[bucket];
    }
}

fn histogram(sum_ns: u64, counted: &Histogram) -> LatencyHistogram {
    let buckets: Vec<LatencyBucket> = counted
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
        sum_ns,
        buckets,
    }
}
