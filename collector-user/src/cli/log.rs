use std::io::{self, IsTerminal as _};

use collector::config::{Config, LogFormat};
use tracing_subscriber::EnvFilter;

use super::error::Failure;

/// The variable that says what is logged.
pub(super) const VARIABLE: &str = "COLLECTOR_LOG";

/// What the agent logs if nothing else is said. Of the libraries under it only
/// errors are of use to who runs it.
const OF_THE_AGENT: &str = "error,collector=info";
/// What the other subcommands log: they say by themselves what they do.
const OF_THE_OTHERS: &str = "error";

/// Sends the log to standard error. Records of the `log` crate, which the
/// eBPF loader uses, are not bridged, and so do not reach a terminal.
pub(super) fn init(config: &Config, is_agent: bool) -> Result<(), Failure> {
    let filter = &config.log.filter;
    let default = if is_agent {
        OF_THE_AGENT
    } else {
        OF_THE_OTHERS
    };
    let text = filter.value.as_deref().unwrap_or(default);
    let parsed = EnvFilter::try_new(text).map_err(|error| {
        let origin = filter.origin;
        Failure::Usage(format!(
            "the log filter {text:?} ({origin}) cannot be used: {error}; \
             write a level like debug, or target=level like collector::bus=debug"
        ))
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let installed = match config.log.format.value {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    installed.map_err(Failure::failed)
}
