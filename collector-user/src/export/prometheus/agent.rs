use super::{
    Scrape,
    text::{Family, Text, Value},
};
use crate::{
    bus::MetricStatus,
    export::{Dropped, Refused},
    manager::Held,
    metric::Status,
};

const BUILD: Family = Family::gauge(
    "collector_build_info",
    "Always 1: the version of the agent.",
);
const UP: Family = Family::gauge(
    "collector_metric_up",
    "Whether the last collection of the metric succeeded.",
);
const AGE: Family = Family::gauge(
    "collector_metric_age_seconds",
    "Age of the reading of the metric, suspend included.",
);
const COLLECTIONS: Family = Family::counter(
    "collector_metric_samples_total",
    "Collections of the metric, failed ones included.",
);

/// A value of a metric's status on the bus.
type OfMetric = (Family, fn(&MetricStatus) -> Option<Value>);
const OF_METRICS: &[OfMetric] = &[
    (
        Family::gauge(
            "collector_metric_interval_seconds",
            "Interval at which the metric is collected.",
        ),
        |metric| metric.pace_ns.map(Value::Nanos),
    ),
    (
        Family::gauge(
            "collector_metric_lateness_seconds",
            "Lateness of the start of the last collection of the metric.",
        ),
        |metric| Some(Value::Nanos(metric.counters.last_lateness_ns)),
    ),
    (
        Family::gauge(
            "collector_metric_lateness_max_seconds",
            "Maximum lateness of a collection of the metric since the start of the agent.",
        ),
        |metric| Some(Value::Nanos(metric.counters.longest_lateness_ns)),
    ),
    (
        Family::counter(
            "collector_metric_skipped_total",
            "Due times at which the metric was not collected: the agent was late, or the previous \
             collection still ran.",
        ),
        |metric| Some(Value::Count(metric.counters.skipped)),
    ),
    (
        Family::counter(
            "collector_metric_failures_total",
            "Failed collections of the metric.",
        ),
        |metric| Some(Value::Count(metric.counters.failures)),
    ),
    (
        Family::counter(
            "collector_metric_hung_total",
            "Collections of the metric that exceeded their deadline.",
        ),
        |metric| Some(Value::Count(metric.counters.hung)),
    ),
    (
        Family::counter(
            "collector_metric_collection_seconds_total",
            "Duration of all collections of the metric.",
        ),
        |metric| Some(Value::Nanos(metric.counters.total_duration_ns)),
    ),
];

const LOG_LINES_LOST: Family = Family::counter(
    "collector_log_lines_lost_total",
    "Log lines that could not be written.",
);
const DROPPED: Family = Family::counter(
    "collector_http_connections_dropped_total",
    "Connections closed by the agent.",
);
const REFUSED: Family = Family::counter(
    "collector_http_requests_refused_total",
    "Requests refused by the agent.",
);

/// Writes the series of the samples themselves, and of the agent.
pub(super) fn encode(text: &mut Text, scrape: &Scrape<'_>) {
    let version = [("version", env!("CARGO_PKG_VERSION").to_owned())];
    text.family(&BUILD, [(version, Some(Value::Count(1)))]);

    let rows = |value: fn(&Held, u64) -> Option<Value>| {
        scrape.samples.iter().map(move |(metric, held)| {
            let backend = held.sample.backend;
            let backend = backend.map_or_else(String::new, |backend| backend.to_string());
            let labels = [("metric", metric.name().to_owned()), ("backend", backend)];
            (labels, value(held, scrape.boottime_ns))
        })
    };
    text.family(
        &UP,
        rows(|held, _| Some(Value::Count((held.sample.status == Status::Ok).into()))),
    );
    text.family(&AGE, rows(age));
    text.family(
        &COLLECTIONS,
        rows(|held, _| Some(Value::Count(held.sample.sequence))),
    );
    for (family, value) in OF_METRICS {
        let metrics = scrape.status.metrics.iter();
        let rows = metrics.map(|metric| ([("metric", metric.name.clone())], value(metric)));
        text.family(family, rows);
    }

    let own = scrape.own;
    text.single(&LOG_LINES_LOST, Some(Value::Count(own.log_lines_lost())));
    let dropped = Dropped::ALL.map(|reason| (reason.as_str(), own.dropped(reason)));
    by_reason(text, &DROPPED, &dropped);
    let refused = Refused::ALL.map(|reason| (reason.as_str(), own.refused(reason)));
    by_reason(text, &REFUSED, &refused);
}

fn by_reason(text: &mut Text, family: &Family, counts: &[(&'static str, u64)]) {
    let rows = counts.iter();
    let rows = rows.map(|(reason, count)| {
        (
            [("reason", (*reason).to_owned())],
            Some(Value::Count(*count)),
        )
    });
    text.family(family, rows);
}

fn age(held: &Held, boottime_ns: u64) -> Option<Value> {
    held.sample.data.as_ref()?;
    let age = boottime_ns.saturating_sub(held.taken_boottime_ns);
    Some(Value::Nanos(age))
}
