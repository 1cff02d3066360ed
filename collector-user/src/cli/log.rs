use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _},
};

use collector::{
    config::{Config, LogFormat},
    text::Harmless,
};
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt as _,
    fmt::{
        FormatFields,
        format::{Writer, debug_fn},
    },
};

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
        LogFormat::Text => log.fmt_fields(fields()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    installed.map_err(Failure::failed)
}

/// Fields as the text format has them, made harmless: a field may be the path
/// of a hostile tree, or an error with such a path in it.
fn fields() -> impl for<'writer> FormatFields<'writer> + Clone {
    debug_fn(|writer: &mut Writer<'_>, field, value| match field.name() {
        "message" => write!(Harmless(writer), "{value:?}"),
        name => write!(Harmless(writer), "{name}={value:?}"),
    })
    .delimited(" ")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_field_of_a_log_line_steers_the_terminal_or_makes_a_line_of_its_own() {
        let written = Written::default();
        let writer = written.clone();
        let log = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .fmt_fields(fields())
            .finish();
        tracing::subscriber::with_default(log, || {
            let hostile = "a\n2026 ERROR forged\x1b[2J\u{202e}";
            tracing::error!(path = %hostile, debug = hostile, "cannot read {hostile}");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text:?}");
        assert!(
            !text.trim_end().chars().any(collector::text::is_harmful),
            "{text:?}"
        );
        assert!(
            text.contains("path=a\\n2026 ERROR forged\\x1b[2J\\u{202e}"),
            "{text}"
        );
    }
}
