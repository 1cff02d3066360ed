//! What the two halves say to each other: one request a connection, and lines
//! of JSON as the answer.

use collector::{
    feed::{Ended, Snapshot, SnapshotRequest, SubscribeOptions},
    metric::{AnySample, Metric},
};
use serde::{Deserialize, Serialize};

/// The first and only line of a client.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Metrics,
    Snapshot(SnapshotRequest),
    Subscribe {
        metric: String,
        options: SubscribeOptions,
    },
}

/// A line of the server. Only a subscription is answered with several, of
/// which the last is why it ended.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Metrics(Vec<Metric>),
    Snapshot(Snapshot),
    Sample(AnySample),
    Ended(Ended),
    Refused(String),
}
