use collector::metric::schema::{FieldKind, RecordInfo, Unit};
use serde_json::{Map, Value};

use super::format;

/// Replaces each counter by its rate since an earlier reading: bytes per
/// second, times in percent, others per second.
///
/// A new row, and a counter that decreased, have no rate.
pub(super) fn rates(record: &RecordInfo, now: &mut Value, before: &Value, seconds: f64) {
    if let (Value::Object(now), Value::Object(before)) = (now, before) {
        of_fields(record, now, before, seconds);
    }
}

fn of_fields(
    record: &RecordInfo,
    now: &mut Map<String, Value>,
    before: &Map<String, Value>,
    seconds: f64,
) {
    for field in record.fields {
        let Some(value) = now.get_mut(field.name) else {
            continue;
        };
        let earlier = before.get(field.name).unwrap_or(&Value::Null);
        if field.kind == FieldKind::Counter {
            if let Some(count) = value.as_u64() {
                let growth = earlier
                    .as_u64()
                    .and_then(|earlier| count.checked_sub(earlier));
                *value = growth.map_or(Value::Null, |growth| {
                    Value::String(rate(field.unit, growth as f64 / seconds))
                });
            }
        } else if let Some(inner) = field.record() {
            match (value, earlier) {
                (Value::Array(rows), Value::Array(earlier)) => {
                    of_rows(inner, rows, earlier, seconds);
                }
                (value, earlier) => rates(inner, value, earlier, seconds),
            }
        }
    }
}

fn of_rows(record: &RecordInfo, rows: &mut [Value], earlier: &[Value], seconds: f64) {
    let none = Value::Object(Map::new());
    for row in rows {
        let same = earlier.iter().find(|other| {
            let mut keys = record.keys();
            keys.all(|(_, key)| row.get(key.name) == other.get(key.name))
        });
        let same = same.filter(|_| record.keys().next().is_some());
        rates(record, row, same.unwrap_or(&none), seconds);
    }
}

fn rate(unit: Unit, per_second: f64) -> String {
    match unit {
        Unit::Bytes => format!("{}/s", format::bytes(per_second as u64)),
        Unit::Nanoseconds => format!("{:.1}%", per_second / 1e7),
        _ => format!("{per_second:.1}/s"),
    }
}

#[cfg(test)]
mod tests {
    use collector::metric::{CpuStats, schema::Record as _};
    use serde_json::json;

    use super::*;

    #[test]
    fn counters_become_rates_and_gauges_stay() {
        let before =
            json!({ "forks": 10, "procs_running": 3, "cpus": [{ "cpu": 1, "user_ns": 5 }] });
        let mut now = json!({
            "forks": 30, "procs_running": 4,
            "cpus": [{ "cpu": 0, "user_ns": 7 }, { "cpu": 1, "user_ns": 1_000_000_005_u64 }],
        });
        rates(&CpuStats::INFO, &mut now, &before, 2.0);
        let expected = json!({
            "forks": "10.0/s", "procs_running": 4,
            "cpus": [{ "cpu": 0, "user_ns": null }, { "cpu": 1, "user_ns": "50.0%" }],
        });
        assert_eq!(now, expected);
    }
}
