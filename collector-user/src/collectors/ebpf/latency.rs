//! The histograms of `sched_latency`.

use collector_ebpf::{BUCKETS, Cpu, CpuCounters, Durations, bucket_bounds};

use crate::{
    accounting::AvailableFields,
    metric::{CpuLatency, LatencyBucket, LatencyHistogram, SchedLatency},
    source::bpf::CpuRecords,
};

/// The histograms of each CPU that has switched tasks, and of all CPUs.
pub(super) fn histograms(records: &CpuRecords, available: &AvailableFields) -> SchedLatency {
    let mut sums = CpuCounters::default();
    let mut total = [Durations::default(); BUCKETS];
    let row = |cpu, sums: &CpuCounters, buckets: &[Durations]| CpuLatency {
        cpu,
        runqueue_wait: available
            .runqueue
            .then(|| histogram(sums.runqueue_wait_ns, buckets, |of| of.runqueue_wait)),
        on_cpu: Some(histogram(sums.on_cpu_ns, buckets, |of| of.on_cpu)),
        off_cpu: available
            .sleep
            .then(|| histogram(sums.off_cpu_ns, buckets, |of| of.off_cpu)),
    };
    let mut cpus = Vec::new();
    for index in 0..records.len() {
        let record = records.read(index);
        let Some(cpu) = record.filter(|cpu| cpu.counters.since_ns != 0) else {
            continue;
        };
        add(&mut sums, &mut total, &cpu);
        cpus.push(row(Some(index), &cpu.counters, &cpu.latency.buckets));
    }
    SchedLatency {
        cpus,
        total: row(None, &sums, &total),
        preemptions: None,
    }
}

/// Adds the durations of a CPU to the sums.
fn add(sums: &mut CpuCounters, total: &mut [Durations], cpu: &Cpu) {
    let Cpu { counters, latency } = cpu;
    let add = |sum: &mut u64, one: u64| *sum = sum.saturating_add(one);
    add(&mut sums.runqueue_wait_ns, counters.runqueue_wait_ns);
    add(&mut sums.on_cpu_ns, counters.on_cpu_ns);
    add(&mut sums.off_cpu_ns, counters.off_cpu_ns);
    for (total, one) in total.iter_mut().zip(&latency.buckets) {
        total.runqueue_wait += one.runqueue_wait;
        total.on_cpu += one.on_cpu;
        total.off_cpu += one.off_cpu;
    }
}

/// The histogram of one kind of durations.
fn histogram(
    sum_ns: u64,
    counted: &[Durations],
    count: impl Fn(&Durations) -> u64,
) -> LatencyHistogram {
    let buckets: Vec<LatencyBucket> = counted
        .iter()
        .map(count)
        .enumerate()
        .filter(|&(_bucket, count)| count > 0)
        .map(|(bucket, count)| {
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
