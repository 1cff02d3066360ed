use std::sync::Arc;

/// Why a subscription yields nothing more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// [`Bus::shutdown`](super::Bus::shutdown) was called.
    #[error("the bus has been shut down")]
    ShutDown,
    /// Every handle of the bus and every publisher of the metric were dropped,
    /// so that it cannot be published any more.
    #[error("the producer of the metric has gone")]
    ProducerGone,
    /// The tokio runtime on which the bus was built has ended.
    #[error("the tokio runtime of the bus has ended")]
    RuntimeGone,
    /// The scheduler of the bus panicked, which is a bug.
    #[error("the scheduler of the bus panicked: {0}")]
    SchedulerPanicked(Arc<str>),
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
        metric: &'static str,
        /// The type of the reading that was expected.
        expected: &'static str,
    },
}
