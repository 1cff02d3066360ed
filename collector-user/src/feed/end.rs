use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::metric::Metric;

/// Why a subscription yields nothing more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ended {
    /// The bus was [shut down](crate::bus::Bus::shutdown).
    #[error("the bus has been shut down")]
    ShutDown,
    /// Whatever could publish the metric was dropped: every handle of the bus
    /// and every publisher of the metric, or the sender of a
    /// [channel](super::Subscription::channel).
    #[error("the producer of the metric has gone")]
    ProducerGone,
    /// The tokio runtime on which the bus was built has ended.
    #[error("the tokio runtime of the bus has ended")]
    RuntimeGone,
    /// The scheduler of the bus panicked, which is a bug.
    #[error("the scheduler of the bus panicked: {0}")]
    SchedulerPanicked(Arc<str>),
    /// The remote end of a feed ended the subscription, and said why.
    #[error("the remote feed ended the subscription: {0}")]
    Remote(Arc<str>),
    /// The connection to a remote feed was lost.
    #[error("the connection to the feed was lost: {0}")]
    Disconnected(Arc<str>),
    /// The recording has no more samples.
    #[error("the recording has ended")]
    EndOfRecording,
}

/// A subscription gave no sample.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// There will be no more samples.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// The sample is of another type than the subscription. Later ones may be
    /// of the right type.
    #[error("a sample of {metric} is not of the type {expected}")]
    WrongType {
        /// The metric of the sample.
        metric: Metric,
        /// The type of the reading that was expected.
        expected: &'static str,
    },
}
