use std::{io, process::ExitCode};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use collector::{
    agent::StartError,
    bus::{Ended, SubscribeError},
    config::{ConfigError, LogFilterError},
    export::ServeError,
    metric::UnknownMetric,
};

use super::log;

/// A subcommand failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The command line is invalid: a sentence of the parser.
    #[error("{0}")]
    CommandLine(String),
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no metric of this name.
    #[error(transparent)]
    UnknownMetric(#[from] UnknownMetric),
    /// The metric is disabled.
    #[error("{0} is disabled by the configuration: set metrics.{0}.enabled to true")]
    Disabled(String),
    /// The log filter in the environment is not UTF-8.
    #[error("{} is not UTF-8", log::VARIABLE)]
    FilterNotUtf8,
    /// The log filter in the environment is invalid.
    #[error("{variable}: {0}", variable = log::VARIABLE)]
    Filter(#[source] LogFilterError),
    /// The log cannot be set up.
    #[error("cannot set up the log: {0}")]
    Log(#[source] log::LogError),
    /// The agent cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The bus refuses a subscription or a snapshot.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    /// The HTTP server cannot serve.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The HTTP server panicked.
    #[error("the HTTP server ended: {0}")]
    Server(#[from] tokio::task::JoinError),
    /// The HTTP server ended without an error.
    #[error("the HTTP server ended")]
    ServerEnded,
    /// The bus ended.
    #[error("collection has ended: {0}")]
    BusEnded(Ended),
    /// The thread of the exporter cannot be created.
    #[error("cannot start the exporter: {0}")]
    Exporter(#[source] io::Error),
    /// The runtime cannot be created.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] io::Error),
    /// The signal handlers cannot be installed.
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[source] io::Error),
    /// The reader of standard output has closed it, which is not an error.
    #[error("standard output is closed")]
    ReaderGone,
}

impl Failure {
    /// 0 if the reader has gone, 2 for wrong usage or configuration, else 1.
    const fn exit_status(&self) -> u8 {
        match self {
            Self::ReaderGone => 0,
            Self::CommandLine(_)
            | Self::Config(_)
            | Self::UnknownMetric(_)
            | Self::Disabled(_)
            | Self::FilterNotUtf8
            | Self::Filter(_)
            | Self::Start(
                StartError::EbpfOfTree(_) | StartError::NoProc(_) | StartError::UnknownMetric(_),
            ) => 2,
            _ => 1,
        }
    }

    /// Prints the error, and returns the exit status.
    pub(super) fn exit(self) -> ExitCode {
        if !matches!(self, Self::ReaderGone) {
            for line in self.to_string().lines() {
                complain(line);
            }
        }
        ExitCode::from(self.exit_status())
    }
}

/// Prints a sentence on standard error; a failure to write it is ignored.
pub(super) fn complain(sentence: &str) {
    log::say(sentence);
}

impl From<io::Error> for Failure {
    /// An error of writing to standard output.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ReaderGone
        } else {
            Self::Output(error)
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

/// Handles an error of the command-line parser, or a request for help or version.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            match error.print().map_err(Failure::from) {
                Err(failure @ Failure::Output(_)) if !error.use_stderr() => failure.exit(),
                _ => ExitCode::from(u8::from(error.use_stderr()) * 2),
            }
        }
        _ => Failure::CommandLine(sentence(error)).exit(),
    }
}

/// An error of the command-line parser, as one sentence.
fn sentence(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let text: Vec<&str> = rendered
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let text = text.join("; ").replace(":; ", ": ");
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    // The name of the subcommand is the second word of the usage.
    let subcommand = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => {
            let usage = usage.to_string();
            let word = usage.split_whitespace().nth(2).map(str::to_owned);
            word.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
        }
        _ => None,
    };
    let help = subcommand.map_or_else(
        || "collector --help".to_owned(),
        |name| format!("collector {name} --help"),
    );
    format!("{text} (see {help})")
}
