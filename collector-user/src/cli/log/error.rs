use std::io;

use collector::config::LogFilterError;
use tracing_subscriber::util::TryInitError;

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum LogError {
    /// A default filter is invalid.
    #[error(transparent)]
    Filter(#[from] LogFilterError),
    /// Another subscriber is installed already.
    #[error(transparent)]
    Install(#[from] TryInitError),
    /// The signal handler for `SIGXFSZ` cannot be installed.
    #[error("cannot handle SIGXFSZ: {0}")]
    Signal(#[from] io::Error),
}
