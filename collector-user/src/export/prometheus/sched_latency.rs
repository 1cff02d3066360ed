use super::text::{Family, Kind, Text, Value};
use crate::metric::{LatencyHistogram, SchedLatency};

/// The upper bounds of the exported buckets are powers of two from 2^10 ns (1
/// µs) to 2^34 ns (17 s): each is a bound of the finer buckets too, so that
/// every duration is counted in the right one.
const BOUNDS: std::ops::RangeInclusive<u32> = 10..=34;

const WAIT: Family = Family::histogram(
    "host_sched_runqueue_wait_seconds",
    "Run-queue wait: from the wakeup or preemption of a task until it is on a CPU.",
);
const ON_CPU: Family = Family::histogram(
    "host_sched_on_cpu_seconds",
    "On-CPU time: from switch-in to switch-out.",
);
const OFF_CPU: Family = Family::histogram(
    "host_sched_off_cpu_seconds",
    "Off-CPU time in sleep: from switch-out to wakeup.",
);

/// Writes the histograms of all CPUs together: those of each CPU would be a
/// hundred series per CPU.
pub(super) fn encode(text: &mut Text, latency: &SchedLatency) {
    let total = &latency.total;
    histogram(text, &WAIT, total.runqueue_wait.as_ref());
    histogram(text, &ON_CPU, total.on_cpu.as_ref());
    histogram(text, &OFF_CPU, total.off_cpu.as_ref());
}

fn histogram(text: &mut Text, family: &Family, histogram: Option<&LatencyHistogram>) {
    let Some(histogram) = histogram else { return };
    text.begin(family.name, Kind::Histogram, family.help);
    let mut buckets = histogram.buckets.iter().peekable();
    let mut counted = 0;
    for bound in BOUNDS {
        let bound = 1_u64 << bound;
        while let Some(bucket) = buckets.next_if(|bucket| bucket.to_ns <= bound) {
            counted += bucket.count;
        }
        let le = Value::Nanos(bound).to_string();
        text.sample(
            family.name,
            "_bucket",
            &[("le", &le)],
            Value::Count(counted),
        );
    }
    // Not the count of the reading: the buckets are read one after another
    // while the programs count, and the three values have to agree.
    let count: u64 = histogram.buckets.iter().map(|bucket| bucket.count).sum();
    text.sample(
        family.name,
        "_bucket",
        &[("le", "+Inf")],
        Value::Count(count),
    );
    text.sample(family.name, "_sum", &[], Value::Nanos(histogram.sum_ns));
    text.sample(family.name, "_count", &[], Value::Count(count));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{CpuLatency, LatencyBucket};

    #[test]
    fn buckets_are_cumulative_and_end_with_the_count() {
        let bucket = |from_ns, to_ns, count| LatencyBucket {
            from_ns,
            to_ns,
            count,
        };
        let runqueue_wait = LatencyHistogram {
            count: 6,
            sum_ns: 3_298_534_886_880,
            buckets: vec![
                bucket(512, 576, 1),
                bucket(1024, 1152, 2),
                bucket(1 << 40, (1 << 40) + (1 << 37), 3),
            ],
        };
        let latency = SchedLatency {
            total: CpuLatency {
                runqueue_wait: Some(runqueue_wait),
                ..CpuLatency::default()
            },
            cpus: Vec::new(),
            ..SchedLatency::default()
        };
        let mut text = Text::default();
        encode(&mut text, &latency);
        let text = text.finish();
        let value = |series: &str| {
            let line = text.lines().find(|line| line.starts_with(series));
            line.and_then(|line| line.split(' ').next_back()).unwrap()
        };
        let name = "host_sched_runqueue_wait_seconds";
        assert_eq!(value(&format!("{name}_bucket{{le=\"0.000001024\"}}")), "1");
        assert_eq!(value(&format!("{name}_bucket{{le=\"0.000002048\"}}")), "3");
        assert_eq!(value(&format!("{name}_bucket{{le=\"17.179869184\"}}")), "3");
        assert_eq!(value(&format!("{name}_bucket{{le=\"+Inf\"}}")), "6");
        assert_eq!(value(&format!("{name}_count")), "6");
        assert_eq!(value(&format!("{name}_sum")), "3298.53488688");
        assert!(!text.contains("on_cpu"), "{text}");
    }
}
