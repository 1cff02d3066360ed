use serde_json::Value as Json;

use super::text::{Kind, Text, Value};
use crate::metric::AnySample;

/// The metrics that are single numbers without a history, each of which is a
/// gauge: `memory_stats.free_bytes` is `host_memory_free_bytes`.
const PREFIXES: &[(&str, &str)] = &[("memory_stats", "host_memory"), ("load_avg", "host")];

pub(super) fn encode(text: &mut Text, sample: &AnySample) {
    let metric = sample.metric.name;
    let Some((_, prefix)) = PREFIXES.iter().find(|(name, _)| *name == metric) else {
        return;
    };
    let data = sample
        .data
        .as_ref()
        .and_then(|data| serde_json::to_value(data).ok());
    let Some(Json::Object(fields)) = data else {
        return;
    };
    for (field, value) in fields {
        let Some(number) = value.as_f64() else {
            continue;
        };
        let (name, value) = match field.strip_suffix("_ns") {
            Some(name) => (format!("{prefix}_{name}_seconds"), number / 1e9),
            // That suffix is for counters.
            None => (
                format!("{prefix}_{}", field.trim_end_matches("_total")),
                number,
            ),
        };
        let help = format!("The field {field} of {metric}.");
        text.begin(&name, Kind::Gauge, &help);
        text.sample(&name, "", &[], Value::Float(value));
    }
}
