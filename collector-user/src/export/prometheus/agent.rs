use std::{collections::BTreeMap, time::SystemTime};

use super::text::{Family, Text, Value};
use crate::metric::{AnySample, Status};

const BUILD: Family = Family::gauge(
    "collector_build_info",
    "Always 1: the version of the agent.",
);
const UP: Family = Family::gauge(
    "collector_metric_up",
    "Whether the last collection of the metric gave a reading.",
);
const AGE: Family = Family::gauge(
    "collector_metric_age_seconds",
    "Time since the reading of the metric was taken.",
);
const COLLECTIONS: Family = Family::counter(
    "collector_metric_samples_total",
    "Collections of the metric, those included that failed.",
);

/// What is to be known of the samples themselves.
pub(super) fn encode(text: &mut Text, samples: &BTreeMap<&'static str, AnySample>) {
    let version = [("version", env!("CARGO_PKG_VERSION").to_owned())];
    text.family(&BUILD, [(version, Some(Value::Count(1)))]);

    let now = SystemTime::now();
    let rows = |value: fn(&AnySample, SystemTime) -> Option<Value>| {
        samples.iter().map(move |(name, sample)| {
            let backend = sample.backend.map_or_else(String::new, |b| b.to_string());
            let labels = [("metric", (*name).to_owned()), ("backend", backend)];
            (labels, value(sample, now))
        })
    };
    text.family(
        &UP,
        rows(|sample, _| Some(Value::Count((sample.status == Status::Ok).into()))),
    );
    text.family(&AGE, rows(age));
    text.family(
        &COLLECTIONS,
        rows(|sample, _| Some(Value::Count(sample.sequence))),
    );
}

fn age(sample: &AnySample, now: SystemTime) -> Option<Value> {
    sample.data.as_ref()?;
    let age = now.duration_since(sample.taken_at).unwrap_or_default();
    Some(Value::Float(age.as_secs_f64()))
}
