//! The log on standard error.

mod error;
mod fields;
mod pending;
mod queue;
mod stderr;
mod writer;

use std::{
    io::{self, IsTerminal as _},
    panic,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    thread,
    time::Duration,
};

use collector::{
    config::{Config, LogFilter, LogFormat},
    text::harmless,
};
use tracing_subscriber::{
    filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

pub(super) use error::LogError;
use fields::fields;
use queue::LogQueue;
use stderr::Stderr;

/// The environment variable with the log filter.
pub(super) const VARIABLE: &str = "COLLECTOR_LOG";

/// The default filter of the agent. Of libraries, only errors are logged.
const AGENT_FILTER: &str = "error,collector=info";
/// The default filter of the other subcommands, whose output is the result.
const DEFAULT_FILTER: &str = "error";

/// How long the process waits at exit for the log to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

static QUEUE: OnceLock<LogQueue> = OnceLock::new();

/// Installs the subscriber that logs to standard error. Records of the `log` crate, which
/// aya uses, are not bridged, and so are not logged.
pub(super) fn init(config: &Config, is_agent: bool) -> Result<(), LogError> {
    let default = if is_agent {
        AGENT_FILTER
    } else {
        DEFAULT_FILTER
    };
    let default: LogFilter = default.parse()?;
    let filter = config.log.filter.value.as_ref().unwrap_or(&default);
    let format = config.log.format.value;
    let queue = LogQueue::new(Stderr, format);
    // A failed write is counted and reported by the queue.
    let layer = tracing_subscriber::fmt::layer()
        .log_internal_errors(false)
        .with_writer(queue.clone())
        .with_ansi(io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(targets(filter));
    match format {
        LogFormat::Text => registry.with(layer.fmt_fields(fields())).try_init()?,
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init()?,
    }
    let _ = QUEUE.set(queue);
    // A write beyond RLIMIT_FSIZE terminates the process by SIGXFSZ, unless the signal
    // has a handler: then the write fails with EFBIG.
    signal_hook::flag::register(libc::SIGXFSZ, Arc::default())?;
    panic::set_hook(Box::new(log_panic));
    for warning in filter.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(())
}

fn targets(filter: &LogFilter) -> Targets {
    filter
        .directives()
        .iter()
        .fold(Targets::new(), |targets, directive| {
            match &directive.target {
                Some(target) => targets.with_target(target, directive.level),
                None => targets.with_default(directive.level),
            }
        })
}

/// Logs a panic. The standard library would write to standard error directly, and would
/// block if nobody reads it.
fn log_panic(info: &panic::PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("without a message");
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let trace = std::backtrace::Backtrace::capture();
    if trace.status() == std::backtrace::BacktraceStatus::Captured {
        tracing::error!(target: "collector::panic", thread, location, %trace, "panicked: {message}");
    } else {
        tracing::error!(target: "collector::panic", thread, location, "panicked: {message}");
    }
}

/// The number of lines that could not be written.
pub(super) fn lines_lost() -> Arc<AtomicU64> {
    QUEUE.get().map_or_else(Arc::default, LogQueue::lines_lost)
}

/// Prints a sentence on standard error: through the log's queue if there is one, so that
/// it does not block.
pub(super) fn say(sentence: &str) {
    let line = format!("collector: {}\n", harmless(sentence));
    if let Some(queue) = QUEUE.get() {
        queue.push(line.as_bytes());
    } else {
        use io::Write as _;
        let _ = Stderr.write_all(line.as_bytes());
    }
}

/// Waits for the log to be written, at most for [`LAST_LINES`].
pub(super) fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(LAST_LINES);
    }
}
