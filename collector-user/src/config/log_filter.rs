use std::{fmt, str::FromStr};

use tracing::level_filters::LevelFilter;

use crate::metric::nearest;

/// What is logged: levels of all that logs, and of parts of it.
///
/// A list with commas between its parts. A part is a level, which is that of
/// everything else, or `target=level`, or a target, of which all is logged.
/// A target is a module of this crate, like `collector::bus`, with all that is
/// in it. Spans and fields are not told apart.
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

/// One part of a [`LogFilter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirective {
    /// Of what; `None` is what no other part names.
    pub target: Option<String>,
    /// From which level on.
    pub level: LevelFilter,
}

/// A text is not a log filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFilterError {
    /// A part without `=` that is neither a level nor a target.
    #[error("{word:?} is no level and no target{} {HOW}", meant(word))]
    NeitherLevelNorTarget {
        /// The part.
        word: String,
    },
    /// What stands behind `=` is not a level.
    #[error("{level:?} in {part:?} is no level{} {HOW}", meant(level))]
    NoLevel {
        /// What stands there.
        level: String,
        /// The part.
        part: String,
    },
    /// What stands before `=` is not the name of a module.
    #[error("{part:?} names no target. {HOW}")]
    NoTarget {
        /// The part.
        part: String,
    },
}

const HOW: &str = "Write a level (off, error, warn, info, debug or trace) or target=level, like \
                   collector::bus=debug";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The targets of what is logged here, besides the modules in them.
const TARGETS: &[&str] = &[
    "collector",
    "collector::agent",
    "collector::bus",
    "collector::cli",
    "collector::collector",
    "collector::config",
    "collector::export",
    "collector::hardware",
    "collector::log",
    "collector::manager",
    "collector::metric",
    "collector::panic",
    "collector::source",
    "collector::text",
];

fn meant(word: &str) -> String {
    let word = word.to_lowercase();
    nearest(&word, LEVELS.iter().chain(TARGETS).copied())
        .map_or_else(|| ".".to_owned(), |near| format!("; did you mean {near}?"))
}

impl LogFilter {
    /// Its parts, in their order.
    pub fn directives(&self) -> &[LogDirective] {
        &self.directives
    }

    /// What is perhaps not meant: targets under which nothing here logs.
    pub fn warnings(&self) -> Vec<String> {
        let targets = self.directives.iter().filter_map(|d| d.target.as_deref());
        targets
            .filter(|target| !is_known(target))
            .map(|target| {
                let near = nearest(target, TARGETS.iter().copied())
                    .map(|near| format!("; did you mean {near}?"))
                    .unwrap_or_default();
                format!(
                    "log filter {:?}: no part of collector logs as {target:?}{near}",
                    self.text
                )
            })
            .collect()
    }
}

/// Whether something here logs under a target, as far as the modules at the top
/// tell.
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
    // An empty text is a level to the parser.
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
    fn levels_and_targets_are_told_apart() {
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
    fn a_misspelt_level_is_an_error_that_names_the_nearest_one() {
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
        assert!(error("collector=loud").contains("\"loud\" in \"collector=loud\" is no level"));
    }

    #[test]
    fn a_target_under_which_nothing_logs_is_a_warning() {
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
