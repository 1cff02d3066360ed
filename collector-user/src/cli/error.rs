use std::{fmt, io, process::ExitCode};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use collector::{agent::StartError, config::ConfigError, metric::UnknownMetric};

use super::log;

/// Why a subcommand ended before its time.
#[derive(Debug)]
pub(super) enum Failure {
    /// Wrong usage or configuration: status 2.
    Usage(String),
    /// It could not be done: status 1.
    Failed(String),
    /// Whoever read the output has heard enough: status 0.
    ReaderGone,
}

impl Failure {
    pub(super) fn failed(reason: impl fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }

    pub(super) fn exit(self) -> ExitCode {
        let (text, code) = match self {
            Self::ReaderGone => return ExitCode::SUCCESS,
            Self::Failed(text) => (text, 1),
            Self::Usage(text) => (text, 2),
        };
        for line in text.lines() {
            complain(line);
        }
        ExitCode::from(code)
    }
}

/// Says a sentence on standard error, as far as there is one.
pub(super) fn complain(sentence: &str) {
    log::say(sentence);
}

impl From<io::Error> for Failure {
    /// What went wrong with writing the output.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ReaderGone
        } else {
            Self::Failed(format!("cannot write the output: {error}"))
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<UnknownMetric> for Failure {
    fn from(error: UnknownMetric) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::EbpfOfTree(_) | StartError::NoProc(_) | StartError::UnknownMetric(_) => {
                Self::Usage(error.to_string())
            }
            error => Self::failed(error),
        }
    }
}

/// Answers a command line that cannot be meant, or one that asks for help.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            match error.print().map_err(Failure::from) {
                Err(failure @ Failure::Failed(_)) if !error.use_stderr() => failure.exit(),
                _ => ExitCode::from(u8::from(error.use_stderr()) * 2),
            }
        }
        _ => Failure::Usage(sentence(error)).exit(),
    }
}

/// An error of the parser in one sentence.
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
