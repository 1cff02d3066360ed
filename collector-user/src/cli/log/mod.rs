//! The log on standard error: what is logged, and who writes it.

mod fields;
mod queue;
mod stderr;

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

use super::error::Failure;
use fields::fields;
use queue::LogQueue;
use stderr::Stderr;

/// The variable that says what is logged.
pub(super) const VARIABLE: &str = "COLLECTOR_LOG";

/// What the agent logs if nothing else is said. Of the libraries under it only
/// errors are of use to who runs it.
const OF_THE_AGENT: &str = "error,collector=info";
/// What the other subcommands log: they say by themselves what they do.
const OF_THE_OTHERS: &str = "error";

/// How long the end of the process waits for the log to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

static QUEUE: OnceLock<LogQueue> = OnceLock::new();

/// Sends the log to standard error. Records of the `log` crate, which the
/// eBPF loader uses, are not bridged, and so do not reach a terminal.
pub(super) fn init(config: &Config, is_agent: bool) -> Result<(), Failure> {
    let default = if is_agent {
        OF_THE_AGENT
    } else {
        OF_THE_OTHERS
    };
    let default: LogFilter = default.parse().map_err(Failure::failed)?;
    let filter = config.log.filter.value.as_ref().unwrap_or(&default);
    let format = config.log.format.value;
    let queue = LogQueue::new(Stderr, format);
    // What the writer answers is not for anyone to be printed: it is counted.
    let layer = tracing_subscriber::fmt::layer()
        .log_internal_errors(false)
        .with_writer(queue.clone())
        .with_ansi(io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(targets(filter));
    let installed = match format {
        LogFormat::Text => registry.with(layer.fmt_fields(fields())).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    installed.map_err(Failure::failed)?;
    let _ = QUEUE.set(queue);
    // A file that may not grow any more (ulimit -f) ends the process by a
    // signal, unless that has a handler: then it is an error like any other.
    signal_hook::flag::register(libc::SIGXFSZ, Arc::default()).map_err(Failure::failed)?;
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

/// The standard library would write to standard error by itself, in the middle
/// of the log, and wait there for as long as nobody reads it.
fn log_panic(info: &panic::PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("without a message");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let trace = std::backtrace::Backtrace::capture();
    if trace.status() == std::backtrace::BacktraceStatus::Captured {
        tracing::error!(target: "collector::panic", thread, place, %trace, "panicked: {message}");
    } else {
        tracing::error!(target: "collector::panic", thread, place, "panicked: {message}");
    }
}

/// How many lines of the log could not be written.
pub(super) fn lines_lost() -> Arc<AtomicU64> {
    QUEUE.get().map_or_else(Arc::default, LogQueue::lines_lost)
}

/// Says a sentence on standard error: behind the log where there is one, so
/// that it waits for a reader no longer than that does.
pub(super) fn say(sentence: &str) {
    let line = format!("collector: {}\n", harmless(sentence));
    if let Some(queue) = QUEUE.get() {
        queue.push(line.as_bytes());
    } else {
        use io::Write as _;
        let _ = Stderr.write_all(line.as_bytes());
    }
}

/// Waits for what was logged to be written, but not for long.
pub(super) fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(LAST_LINES);
    }
}
