use collector::metric::{CpuLatency, LatencyBucket, LatencyHistogram, SchedLatency};

use super::{Grid, Side, format, preemptions};
use crate::cli::output::Size;

/// Percentiles of the durations since the previous sample, or since the
/// programs were attached without one.
pub(super) fn table(now: &SchedLatency, before: Option<&SchedLatency>, size: Size) -> String {
    let mut grid = Grid::new(&[
        ("CPU", Side::Left),
        ("WHAT", Side::Left),
        ("COUNT", Side::Right),
        ("P50", Side::Right),
        ("P90", Side::Right),
        ("P99", Side::Right),
        ("MAX", Side::Right),
    ]);
    let earlier = before.and_then(|before| before.preemptions.as_deref());
    let preemptions = now.preemptions.as_deref();
    let preemptions = preemptions
        .and_then(|now| preemptions::table(now, earlier, size))
        .map(|text| format!("\n\n{text}"))
        .unwrap_or_default();
    let fit = size.height.map_or(usize::MAX, |height| {
        (height as usize).saturating_sub(3 + preemptions.lines().count())
    });
    let mut rows = Vec::new();
    rows.extend(of_cpu(
        "all",
        &now.total,
        before.map(|before| &before.total),
    ));
    for cpu in &now.cpus {
        let name = format::known(cpu.cpu, |cpu| cpu.to_string());
        let base = before.and_then(|before| before.cpus.iter().find(|other| other.cpu == cpu.cpu));
        rows.extend(of_cpu(&name, cpu, base));
    }
    for row in rows.into_iter().take(fit) {
        grid.add(row);
    }
    let since = match before {
        Some(_) => "since the previous sample",
        None => "since the programs were attached",
    };
    format!("durations {since}\n{}{preemptions}", grid.render(size))
}

fn of_cpu(name: &str, now: &CpuLatency, before: Option<&CpuLatency>) -> Vec<Vec<String>> {
    let off = |cpu: &CpuLatency| cpu.off_cpu.clone();
    let on = |cpu: &CpuLatency| cpu.on_cpu.clone();
    let wait = |cpu: &CpuLatency| cpu.runqueue_wait.clone();
    let kinds = [
        ("run-queue wait", wait(now), before.and_then(wait)),
        ("on CPU", on(now), before.and_then(on)),
        ("off CPU", off(now), before.and_then(off)),
    ];
    let rows = kinds.into_iter().filter_map(|(what, now, before)| {
        let grown = match before {
            Some(before) => since(&now?, &before),
            None => now?,
        };
        let at = |quantile| format::known(grown.quantile_ns(quantile), format::seconds);
        let count = grown.count.to_string();
        Some(vec![
            name.to_owned(),
            what.to_owned(),
            count,
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0),
        ])
    });
    rows.collect()
}

/// The durations counted since an earlier reading of the same histogram.
fn since(now: &LatencyHistogram, before: &LatencyHistogram) -> LatencyHistogram {
    let mut earlier = before.buckets.iter().peekable();
    let mut buckets = Vec::with_capacity(now.buckets.len());
    for bucket in &now.buckets {
        while earlier.next_if(|b| b.from_ns < bucket.from_ns).is_some() {}
        let was = earlier
            .next_if(|b| b.from_ns == bucket.from_ns)
            .map_or(0, |b| b.count);
        let count = bucket.count.saturating_sub(was);
        if count > 0 {
            buckets.push(LatencyBucket { count, ..*bucket });
        }
    }
    LatencyHistogram {
        count: buckets.iter().map(|bucket| bucket.count).sum(),
        sum_ns: now.sum_ns.saturating_sub(before.sum_ns),
        buckets,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(buckets: &[(u64, u64)]) -> LatencyHistogram {
        LatencyHistogram {
            count: buckets.iter().map(|(_, count)| count).sum(),
            sum_ns: buckets.iter().map(|(from_ns, count)| from_ns * count).sum(),
            buckets: buckets
                .iter()
                .map(|&(from_ns, count)| LatencyBucket {
                    from_ns,
                    to_ns: from_ns * 2,
                    count,
                })
                .collect(),
        }
    }

    #[test]
    fn what_was_counted_before_is_taken_off_bucket_by_bucket() {
        let before = histogram(&[(1000, 5), (4000, 1)]);
        let now = histogram(&[(1000, 5), (2000, 3), (4000, 2)]);
        assert_eq!(since(&now, &before), histogram(&[(2000, 3), (4000, 1)]));
    }

    #[test]
    fn a_histogram_that_the_kernel_does_not_keep_has_no_row() {
        let total = CpuLatency {
            runqueue_wait: Some(histogram(&[(1000, 9)])),
            ..CpuLatency::default()
        };
        let now = SchedLatency {
            total,
            ..SchedLatency::default()
        };
        let text = table(&now, None, Size::UNBOUNDED);
        assert!(text.contains("2.00us"), "{text}");
        assert!(!text.contains("off CPU"), "{text}");
    }
}
