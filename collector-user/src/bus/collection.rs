//! One collection: what it is to make, and how it ended.

use std::{sync::Arc, time::Duration};

use super::taken::Taken;
use crate::{
    collectors::CollectError,
    metric::{AnyReading, Reason},
    source::SourceError,
};

/// One collection, or one for each of some subscribers.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// The index of the topic on the bus.
    pub(super) topic: usize,
    /// The number of the flight.
    pub(super) flight: u64,
    /// The subscribers that collect for themselves.
    pub(super) each: Vec<usize>,
}

/// A collection that has ended.
pub(super) struct Finished {
    pub(super) flight: u64,
    pub(super) outcome: Outcome,
    pub(super) taken: Taken,
    pub(super) took: Duration,
    /// Whether it was the last of its flight.
    pub(super) last: bool,
}

/// How a collection ended.
pub(super) enum Outcome {
    Reading(Arc<dyn AnyReading>),
    Error(CollectError),
    /// With its message, which may be empty.
    Panic(Arc<str>),
}

/// Who gets a sample.
#[derive(Clone, Copy, Debug)]
pub(super) enum Recipients {
    /// All subscribers that are due at this time.
    DueAt(u64),
    /// One subscriber, which was due at this time.
    One { subscriber: usize, now: u64 },
}

impl Recipients {
    pub(super) fn now(self) -> u64 {
        match self {
            Self::DueAt(now) | Self::One { now, .. } => now,
        }
    }
}

/// The reason that subscribers get for an error of a collector.
pub(super) fn reason_of(error: &CollectError) -> Reason {
    let text = error.to_string().into();
    match error {
        CollectError::Source(error) if error.is_permission_denied() => Reason::NoPermission(text),
        CollectError::Unsupported(_) | CollectError::Source(SourceError::NoOpenat2 { .. }) => {
            Reason::Unsupported(text)
        }
        CollectError::Source(_) | CollectError::Failed(_) => Reason::Failed(text),
    }
}
