use serde::{Deserialize, Serialize};

/// What provides the readings of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Provider {
    /// The bus calls a collector.
    #[serde(rename = "collected")]
    Collector,
    /// A producer in this process publishes readings.
    #[serde(rename = "published")]
    Producer,
}

/// How a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// There was no reading yet, and no failure.
    Unknown,
    /// The last attempt gave a reading.
    Ok,
    /// The last attempt failed.
    Failing,
    /// A collection has passed its deadline and still runs.
    Hung,
    /// A collection waits for a thread, longer than it may take.
    #[serde(rename = "not started")]
    NotStarted,
}
