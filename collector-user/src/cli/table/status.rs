use std::fmt::Write as _;

use collector::bus::{BusStatus, Health, MetricStatus};

use super::{Grid, Side, format};
use crate::cli::output::Size;

/// The status of the bus, without a line break at the end.
pub(in crate::cli) fn status(status: &BusStatus, size: Size) -> String {
    let sources = &status.sources;
    let mut text = format!(
        "{} ticks, {} subscriptions, {} of readings in the cache\n",
        status.ticks,
        status.subscriptions,
        format::bytes(status.cache_bytes as u64),
    );
    let _ = writeln!(
        text,
        "{} files opened, {} reads of {}, {} reads saved",
        sources.opens,
        sources.reads,
        format::bytes(sources.bytes),
        sources.reads_saved,
    );
    if status.late_reads > 0 {
        let _ = writeln!(
            text,
            "{} reads of files of processes blocked, {} still do",
            status.late_reads, status.blocked_reads,
        );
    }
    text.push('\n');
    let mut grid = Grid::new(&[
        ("METRIC", Side::Left),
        ("BACKEND", Side::Left),
        ("HEALTH", Side::Left),
        ("COLLECTED", Side::Right),
        ("FAILED", Side::Right),
        ("LAST TOOK", Side::Right),
        ("MAX TOOK", Side::Right),
        ("CACHED", Side::Right),
        ("REASON", Side::Left),
    ])
    .without_if_narrow(&["MAX TOOK", "BACKEND", "CACHED"]);
    for metric in &status.metrics {
        grid.add(row(metric));
    }
    text.push_str(&grid.render(size));
    text
}

fn row(metric: &MetricStatus) -> [String; 9] {
    let counters = &metric.counters;
    let health = match metric.health {
        Health::Unknown => "unknown",
        Health::Ok => "ok",
        Health::Failing => "failing",
        Health::Hung => "hung",
        Health::NotStarted => "not started",
    };
    [
        metric.name.clone(),
        metric.backend.to_string(),
        health.to_owned(),
        (counters.collections + counters.published).to_string(),
        (counters.failures + counters.hung + counters.not_started).to_string(),
        format::seconds(counters.last_duration_ns),
        format::seconds(counters.longest_duration_ns),
        format::bytes(metric.cache_bytes as u64),
        metric
            .reason
            .as_deref()
            .map_or_else(String::new, format::harmless),
    ]
}
