use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use super::{IntervalError, LogFilterError, UnknownLogFormat};
use crate::{agent::UnknownBackend, metric::UnknownMetric, text::harmless};

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {error}", shown(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system call.
        #[source]
        error: io::Error,
    },
    /// The file is larger than a configuration may be.
    #[error("the configuration {} is larger than {limit} bytes", shown(path))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The maximum size, in bytes.
        limit: u64,
    },
    /// The content of the file is invalid.
    #[error("{}", lines(path, problems))]
    Content {
        /// The file.
        path: PathBuf,
        /// All problems of the file, sorted by line.
        problems: Vec<Problem>,
    },
}

/// A path without control characters: an error with one is still one line.
pub(super) fn shown(path: &Path) -> String {
    harmless(&path.to_string_lossy()).into_owned()
}

fn lines(path: &Path, problems: &[Problem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}, {problem}", shown(path)))
        .collect();
    lines.join("\n")
}

/// One problem of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The key, with those of its tables; `None` where the file is not TOML.
    pub key: Option<String>,
    /// What is wrong with it.
    pub error: ValueError,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        self.error.fmt(f)
    }
}

/// A key or a value is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The file is not UTF-8.
    #[error("the file is not UTF-8, which TOML requires")]
    NotUtf8,
    /// The file is not TOML: the message of the parser.
    #[error("{0}")]
    Syntax(String),
    /// There is no key of this name.
    #[error("unknown key{}; the keys here are {}", hint(near.as_deref()), known.join(", "))]
    UnknownKey {
        /// The known key with the most similar name.
        near: Option<&'static str>,
        /// The keys of the same table.
        known: &'static [&'static str],
    },
    /// The value has the wrong type.
    #[error("expected {expected}, not {found}")]
    Type {
        /// The type that the key takes.
        expected: &'static str,
        /// The type of the value.
        found: &'static str,
    },
    /// The value is not a whole number in the valid range.
    #[error("expected a whole number from 0 to {max}")]
    OutOfRange {
        /// The largest valid value.
        max: usize,
    },
    /// An interval is shorter than any collector supports.
    #[error("{text:?} is too short: the shortest interval of a collection is {floor}")]
    BelowFloor {
        /// The value.
        text: String,
        /// The shortest interval.
        floor: String,
    },
    /// The value is not a socket address.
    #[error("{0:?} is not an address with a port, like \"127.0.0.1:9464\" or \"[::1]:9464\"")]
    Address(String),
    /// The value is not a list of host names.
    #[error("expected {HOST_NAMES}, without ports")]
    HostNames,
    /// The value is not an interval.
    #[error(transparent)]
    Interval(#[from] IntervalError),
    /// The value is not a log filter.
    #[error(transparent)]
    LogFilter(#[from] LogFilterError),
    /// The value is not a log format.
    #[error(transparent)]
    LogFormat(#[from] UnknownLogFormat),
    /// The value is not a backend.
    #[error(transparent)]
    Backend(#[from] UnknownBackend),
    /// There is no metric of this name.
    #[error(transparent)]
    Metric(#[from] UnknownMetric),
}

pub(super) const HOST_NAMES: &str = "a list of host names, like [\"metrics.example.org\"]";

fn hint(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!(": did you mean {near}?"))
}
