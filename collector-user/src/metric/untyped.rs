use std::sync::Arc;

use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::Value;

use super::{
    AnyReading, Metric,
    schema::{AnyRecord, MetricSchema},
};

/// A reading of a metric that this build does not declare, as it came in a
/// self-describing format.
///
/// It is serialized as its value, in self-describing formats only.
#[derive(Clone, Debug, PartialEq)]
pub struct UntypedReading {
    /// The metric.
    pub metric: Metric,
    /// The data, by the names of its fields.
    pub value: Value,
}

impl AnyReading for UntypedReading {
    fn metric(&self) -> Metric {
        self.metric.clone()
    }

    fn schema(&self) -> Option<&'static MetricSchema> {
        None
    }

    fn record(&self) -> Option<&dyn AnyRecord> {
        None
    }

    fn total_bytes(&self) -> usize {
        size_of::<Self>() + heap_bytes(&self.value)
    }

    fn cut_to_any(&self, _max_bytes: usize) -> Option<Arc<dyn AnyReading>> {
        None
    }
}

impl Serialize for UntypedReading {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.value.serialize(serializer)
        } else {
            Err(S::Error::custom(format_args!(
                "the metric {:?} is unknown to this build, which cannot write it in a format that does not describe itself",
                self.metric.name()
            )))
        }
    }
}

/// The bytes that a value owns on the heap, as far as it tells.
fn heap_bytes(value: &Value) -> usize {
    /// What a map keeps beside each key and value.
    const ENTRY: usize = 16;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.capacity(),
        Value::Array(values) => {
            let own = values.capacity() * size_of::<Value>();
            own + values.iter().map(heap_bytes).sum::<usize>()
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let entry = size_of::<String>() + size_of::<Value>() + ENTRY;
                entry + name.capacity() + heap_bytes(value)
            })
            .sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Kind, Tier};

    #[test]
    fn what_it_takes_grows_with_the_value() {
        let metric = Metric::named("gpu_stats", Tier::Fast, Kind::State, "");
        let bytes = |value| {
            let metric = metric.clone();
            UntypedReading { metric, value }.total_bytes()
        };
        let empty = bytes(Value::Null);
        let small = bytes(serde_json::json!({"gpus": [{"name": "a"}]}));
        let large = bytes(serde_json::json!({"gpus": [{"name": "a".repeat(1_000)}]}));
        assert!(
            empty < small && small + 999 <= large,
            "{empty} {small} {large}"
        );
    }
}
