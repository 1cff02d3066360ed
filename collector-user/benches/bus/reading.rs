//! The reading that is sent.

use std::time::Instant;

use collector::metric::{Kind, MetricInfo, Reading, Tier};
use serde::{Deserialize, Serialize};

/// When it was sent, with the weight of a reading of a hundred rows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sent {
    #[serde(skip, default = "Instant::now")]
    pub(crate) at: Instant,
    pub(crate) rows: Vec<u64>,
}

impl Sent {
    pub(crate) fn now() -> Self {
        Self {
            rows: vec![0; 1_000],
            at: Instant::now(),
        }
    }
}

impl Reading for Sent {
    const METRIC: MetricInfo = MetricInfo {
        name: "sent",
        tier: Tier::Fast,
        kind: Kind::State,
        help: "A reading that knows when it was sent.",
    };

    fn heap_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<u64>()
    }
}

/// A reading that costs nothing to make.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Empty;

impl Reading for Empty {
    const METRIC: MetricInfo = MetricInfo {
        name: "empty",
        tier: Tier::Fast,
        kind: Kind::State,
        help: "Nothing.",
    };

    fn heap_bytes(&self) -> usize {
        0
    }
}
