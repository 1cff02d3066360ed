use std::{fmt, str::FromStr};

use tracing::level_filters::LevelFilter;

use crate::metric::nearest;

/// The log filter: a default level, and levels of targets.
///
/// A comma-separated list of directives: a level, which is the default; `target=level`;
/// or a target, which is logged at all levels. A target is a module of this crate, like
/// `collector::bus`, with its submodules. Filters by span or field are not supported.
///
/// ```
/// use collector::config::LogFilter;
///
/// assert!("error,collector::bus=trace".parse::<LogFilter>().is_ok());
/// let error = "debgu".parse::<LogFilter>().unwrap_err().to_string();
/// assert!(error.contains("did you mean debug?"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter {
    text: String,
    directives: Vec<LogDirective>,
}

/// One directive of a [`LogFilter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirective {
    /// The target; `None` is the default.
    pub target: Option<String>,
    /// The most verbose level that is logged.
    pub level: LevelFilter,
}

/// A text is not a log filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFilterError {
    /// A directive without `=` that is neither a level nor a target.
    #[error("{word:?} is neither a level nor a target{} {HOW}", hint(word))]
    NeitherLevelNorTarget {
        /// The directive.
        word: String,
    },
    /// The text after `=` is not a level.
    #[error("{level:?} in {part:?} is not a level{} {HOW}", hint(level))]
    NoLevel {
        /// The text after `=`.
        level: String,
        /// The directive.
        part: String,
    },
    /// The text before `=` is not the name of a module.
    #[error("{part:?} has no valid target. {HOW}")]
    NoTarget {
        /// The directive.
        part: String,
    },
}

const HOW: &str = "Write a level (off, error, warn, info, debug or trace) or target=level, like \
                   collector::bus=debug";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The targets of this crate, without their submodules.
const TARGETS: &[&str] = &[
    "collector",
    "collector::agent",
    "collector::allocator",
    "collector::bus",
    "collector::cli",
    "collector::collectors",
    "collector::config",
    "collector::export",
    "collector::feed",
    "collector::hardware",
    "collector::log",
    "collector::manager",
    "collector::metric",
    "collector::panic",
    "collector::source",
    "collector::text",
];

fn hint(word: &str) -> String {
    let word = word.to_lowercase();
    nearest(&word, LEVELS.iter().chain(TARGETS).copied())
        .map_or_else(|| ".".to_owned(), |near| format!("; did you mean {near}?"))
}

impl LogFilter {
    /// Its directives, in order.
    pub fn directives(&self) -> &[LogDirective] {
        &self.directives
    }

    /// Warnings about targets that do not exist.
    pub fn warnings(&self) -> Vec<String> {
        let targets = self.directives.iter().filter_map(|d| d.target.as_deref());
        targets
            .filter(|target| !is_known(target))
            .map(|target| {
                let near = nearest(target, TARGETS.iter().copied())
                    .map(|near| format!("; did you mean {near}?"))
                    .unwrap_or_default();
                format!(
                    "log filter {:?}: collector has no target {target:?}{near}",
                    self.text
                )
            })
            .collect()
    }
}

/// Whether a target exists; submodules are not checked.
fn is_known(target: &str) -> bool {
    let is_below = |above: &str| {
        let rest = target.strip_prefix(above);
        above != "collector" && rest.is_some_and(|rest| rest.starts_with("::"))
    };
    TARGETS
        .iter()
        .any(|known| *known == target || is_below(known))
}

impl FromStr for LogFilter {
    type Err = LogFilterError;

    fn from_str(text: &str) -> Result<Self, LogFilterError> {
        let parts = text.split(',').map(str::trim);
        let directives = parts.filter(|part| !part.is_empty()).map(directive);
        Ok(Self {
            text: text.to_owned(),
            directives: directives.collect::<Result<_, _>>()?,
        })
    }
}

fn directive(part: &str) -> Result<LogDirective, LogFilterError> {
    let Some((target, level)) = part.split_once('=') else {
        if let Some(level) = level_of(part) {
            return Ok(LogDirective {
                target: None,
                level,
            });
        }
        if is_known(part) {
            return Ok(LogDirective {
                target: Some(part.to_owned()),
                level: LevelFilter::TRACE,
            });
        }
        return Err(LogFilterError::NeitherLevelNorTarget {
            word: part.to_owned(),
        });
    };
    let (target, level) = (target.trim(), level.trim());
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if target.is_empty() || !target.chars().all(in_name) {
        return Err(LogFilterError::NoTarget {
            part: part.to_owned(),
        });
    }
    let level = level_of(level).ok_or_else(|| LogFilterError::NoLevel {
        level: level.to_owned(),
        part: part.to_owned(),
    })?;
    Ok(LogDirective {
        target: Some(target.to_owned()),
        level,
    })
}

fn level_of(text: &str) -> Option<LevelFilter> {
    // The parser accepts an empty string.
    text.parse().ok().filter(|_| !text.is_empty())
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(Option<String>, LevelFilter)> {
        let filter: LogFilter = text.parse().unwrap();
        let directives = filter.directives.into_iter();
        directives.map(|d| (d.target, d.level)).collect()
    }

    #[test]
    fn levels_and_targets_are_distinguished() {
        let bus = || Some("collector::bus".to_owned());
        assert_eq!(parsed("DEBUG"), [(None, LevelFilter::DEBUG)]);
        assert_eq!(
            parsed("error, collector::bus=trace,"),
            [(None, LevelFilter::ERROR), (bus(), LevelFilter::TRACE)]
        );
        assert_eq!(parsed("collector::bus"), [(bus(), LevelFilter::TRACE)]);
        assert_eq!(parsed("hyper=off").len(), 1);
        assert_eq!(parsed(""), []);
    }

    #[test]
    fn a_misspelt_level_is_an_error_with_the_nearest_level() {
        for text in [
            "debgu",
            "inf",
            "warning",
            "collector=loud",
            "error,collector=",
            "=debug",
            "collector[span]=debug",
            "collector::bus=debug=x",
        ] {
            assert!(text.parse::<LogFilter>().is_err(), "{text}");
        }
        let error = |text: &str| text.parse::<LogFilter>().unwrap_err().to_string();
        assert!(
            error("debgu").contains("did you mean debug?"),
            "{}",
            error("debgu")
        );
        assert!(error("warning").contains("did you mean warn?"));
        assert!(error("collector=loud").contains("\"loud\" in \"collector=loud\" is not a level"));
    }

    #[test]
    fn an_unknown_target_is_a_warning() {
        let warnings = |text: &str| text.parse::<LogFilter>().unwrap().warnings();
        assert!(warnings("error,collector::bus::core=debug").is_empty());
        let unknown = warnings("colector::bus=debug");
        assert!(
            unknown[0].contains("did you mean collector::bus?"),
            "{unknown:?}"
        );
        assert_eq!(warnings("collector::buss=debug,hyper=info").len(), 2);
    }

    #[test]
    fn every_module_of_the_crate_is_a_target() {
        let source = include_str!("../lib.rs");
        let modules = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub mod "));
        for module in modules {
            let target = format!("collector::{}", module.trim_end_matches(';'));
            assert!(TARGETS.contains(&&*target), "{target}");
        }
    }
}
