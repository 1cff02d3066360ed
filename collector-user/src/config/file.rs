use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use toml::de::{DeTable, DeValue};

use super::{Config, Interval, IntervalError, Origin, Setting};
use crate::{
    collector::FLOOR,
    metric::{UnknownMetric, nearest},
};

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        error: io::Error,
    },
    /// What it says cannot be meant.
    #[error("{}", lines(path, problems))]
    Content {
        /// The file.
        path: PathBuf,
        /// All that is wrong with it, in the order of the lines.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The key, with those of its tables; `None` where the file is not TOML.
    pub key: Option<String>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.what)
    }
}

fn lines(path: &Path, problems: &[Problem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}, {problem}", path.display()))
        .collect();
    lines.join("\n")
}

/// Reads the content of a file over the defaults.
pub(super) fn parse(path: &Path, content: &[u8]) -> Result<Config, ConfigError> {
    let wrong = |problems| ConfigError::Content {
        path: path.to_owned(),
        problems,
    };
    let text = std::str::from_utf8(content).map_err(|error| {
        let line = 1 + count_lines(&content[..error.valid_up_to()]);
        let what = "this is not UTF-8, as TOML has to be".to_owned();
        wrong(vec![Problem {
            line,
            key: None,
            what,
        }])
    })?;
    let document = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        wrong(vec![Problem {
            line: line_at(text, start),
            key: None,
            what: error.message().replace('\n', ", "),
        }])
    })?;
    let mut reader = Reader {
        text,
        config: Config {
            file: Some(path.to_owned()),
            ..Config::default()
        },
        problems: Vec::new(),
    };
    reader.table(&mut Vec::new(), document.get_ref());
    reader.problems.sort_by_key(|problem| problem.line);
    if reader.problems.is_empty() {
        Ok(reader.config)
    } else {
        Err(wrong(reader.problems))
    }
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + count_lines(&text.as_bytes()[..offset.min(text.len())])
}

/// Walks the tables of the file, and puts each value where it belongs.
struct Reader<'t> {
    text: &'t str,
    config: Config,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn table(&mut self, above: &mut Vec<String>, table: &DeTable<'_>) {
        for (key, value) in table {
            above.push(key.get_ref().to_string());
            let line = line_at(self.text, key.span().start);
            let result = match value.get_ref() {
                DeValue::Table(inner) if is_table(above) => {
                    self.table(above, inner);
                    Ok(())
                }
                value => self.value(above, value, line),
            };
            if let Err(what) = result {
                self.problems.push(Problem {
                    line,
                    key: Some(above.join(".")),
                    what,
                });
            }
            above.pop();
        }
    }

    fn value(&mut self, path: &[String], value: &DeValue<'_>, line: usize) -> Result<(), String> {
        let config = &mut self.config;
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let at = Origin::Line(line);
        match path.as_slice() {
            ["backend"] => set(&mut config.backend, parsed(value)?, at),
            ["log", "format"] => set(&mut config.log.format, parsed(value)?, at),
            ["log", "filter"] => {
                let filter = text(value)?.parse();
                let filter = filter.map_err(|error: super::LogFilterError| error.to_string())?;
                set(&mut config.log.filter, Some(filter), at);
            }
            ["prometheus", "enabled"] => set(&mut config.prometheus.enabled, flag(value)?, at),
            ["prometheus", "listen"] => set(&mut config.prometheus.listen, address(value)?, at),
            ["prometheus", "hosts"] => set(&mut config.prometheus.hosts, names(value)?, at),
            ["prometheus", "processes"] => {
                set(&mut config.prometheus.processes, count(value, 1000)?, at);
            }
            ["tiers", "hardware"] => set(&mut config.tiers.hardware, pace(value)?, at),
            ["tiers", "system"] => set(&mut config.tiers.system, pace(value)?, at),
            ["tiers", "fast"] => set(&mut config.tiers.fast, pace(value)?, at),
            ["metrics", name, rest @ ..] => {
                let Some(metric) = config.metrics.get_mut(*name) else {
                    let name = (*name).to_owned();
                    return Err(UnknownMetric { name }.to_string());
                };
                match rest {
                    ["enabled"] => set(&mut metric.enabled, flag(value)?, at),
                    ["interval"] => set(&mut metric.interval, Some(pace(value)?), at),
                    [] => return Err(expected("a table", value)),
                    _ => return Err(unknown_key(&path)),
                }
            }
            [name] if TABLES.contains(name) => return Err(expected("a table", value)),
            _ => return Err(unknown_key(&path)),
        }
        Ok(())
    }
}

/// The tables at the top.
const TABLES: &[&str] = &["log", "prometheus", "tiers", "metrics"];

/// Whether a table of this name is one, and not a mistaken key.
fn is_table(path: &[String]) -> bool {
    match path {
        [name] => TABLES.contains(&name.as_str()),
        [metrics, name] => metrics == "metrics" && crate::metric::find(name).is_some(),
        _ => false,
    }
}

/// The keys that there are beside the one that is unknown.
fn unknown_key(path: &[&str]) -> String {
    let (beside, name): (&[&str], &str) = match path {
        ["log", name, ..] => (&["format", "filter"], name),
        ["prometheus", name, ..] => (&["enabled", "listen", "hosts", "processes"], name),
        ["tiers", name, ..] => (&["hardware", "system", "fast"], name),
        ["metrics", _, name, ..] => (&["enabled", "interval"], name),
        [name, ..] => (&["backend", "log", "prometheus", "tiers", "metrics"], name),
        [] => (&[], ""),
    };
    let near = nearest(name, beside.iter().copied())
        .map(|near| format!(": did you mean {near}?"))
        .unwrap_or_default();
    format!(
        "there is no such key{near}; the keys here are {}",
        beside.join(", ")
    )
}

fn set<T>(setting: &mut Setting<T>, value: T, origin: Origin) {
    *setting = Setting { value, origin };
}

fn expected(what: &str, value: &DeValue<'_>) -> String {
    format!("this is to be {what}, not {}", kind(value))
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value
        .as_str()
        .ok_or_else(|| expected("a text between quotes", value))
}

fn parsed<T: FromStr<Err = String>>(value: &DeValue<'_>) -> Result<T, String> {
    text(value)?.parse()
}

fn flag(value: &DeValue<'_>) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| expected("true or false", value))
}

fn count(value: &DeValue<'_>, most: usize) -> Result<usize, String> {
    value
        .as_integer()
        .and_then(|number| usize::from_str_radix(number.as_str(), number.radix()).ok())
        .filter(|number| *number <= most)
        .ok_or_else(|| format!("this is to be a whole number from 0 to {most}"))
}

/// How often metrics are collected. What no collector would keep to is an
/// error here, and not a value that is shown and not in force.
fn pace(value: &DeValue<'_>) -> Result<Interval, String> {
    let text = value
        .as_str()
        .ok_or_else(|| expected("a time between quotes, like \"10s\"", value))?;
    let too_short = || {
        let floor = humantime::format_duration(FLOOR);
        format!("{text:?} is too short: metrics are collected every {floor} at most")
    };
    match text.parse::<Interval>() {
        Ok(interval) if interval.duration() < FLOOR => Err(too_short()),
        Ok(interval) => Ok(interval),
        Err(IntervalError::TooShort(_)) => Err(too_short()),
        Err(error) => Err(error.to_string()),
    }
}

fn names(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    const WHAT: &str = "a list of names of this host, like [\"metrics.example.org\"]";
    let list = value.as_array().ok_or_else(|| expected(WHAT, value))?;
    let is_in_name = |c: char| c.is_alphanumeric() || "-._".contains(c);
    list.iter()
        .map(|name| {
            let name = name.get_ref().as_str().unwrap_or_default();
            if name.is_empty() || !name.chars().all(is_in_name) {
                return Err(format!("this is to be {WHAT}, without ports"));
            }
            Ok(name.to_owned())
        })
        .collect()
}

fn address(value: &DeValue<'_>) -> Result<SocketAddr, String> {
    let text = text(value)?;
    SocketAddr::from_str(text).map_err(|_error| {
        format!("{text:?} is not an address with a port, like \"127.0.0.1:9464\" or \"[::1]:9464\"")
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::agent::BackendChoice;

    fn read(text: &str) -> Result<Config, Vec<Problem>> {
        match parse(Path::new("collector.toml"), text.as_bytes()) {
            Ok(config) => Ok(config),
            Err(ConfigError::Content { problems, .. }) => Err(problems),
            Err(other) => panic!("{other}"),
        }
    }

    fn problem(text: &str) -> String {
        let problems = read(text).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].to_string()
    }

    #[test]
    fn an_empty_file_leaves_the_defaults() {
        let config = read("").unwrap();
        assert_eq!(config.backend, Config::default().backend);
        assert_eq!(config.metrics, Config::default().metrics);
    }

    #[test]
    fn every_key_is_read_and_remembers_its_line() {
        let config = read(concat!(
            "backend = \"procfs\"\n",
            "[log]\nformat = \"json\"\nfilter = \"debug\"\n",
            "[prometheus]\nenabled = false\nlisten = \"[::1]:9\"\nprocesses = 7\n",
            "hosts = [\"a.example\"]\n",
            "[tiers]\nhardware = \"1h\"\nsystem = \"20s\"\nfast = \"100ms\"\n",
            "[metrics.cpu_stats]\nenabled = false\ninterval = \"3s\"\n",
        ))
        .unwrap();
        assert_eq!(config.backend.value, BackendChoice::Procfs);
        assert_eq!(config.backend.origin, Origin::Line(1));
        let filter = config.log.filter.value.as_ref();
        assert_eq!(filter.map(ToString::to_string).as_deref(), Some("debug"));
        assert_eq!(config.prometheus.listen.value.port(), 9);
        assert_eq!(config.prometheus.processes.origin, Origin::Line(8));
        assert_eq!(
            config.tiers.fast.value.duration(),
            Duration::from_millis(100)
        );
        let cpu = &config.metrics["cpu_stats"];
        assert!(!cpu.enabled.value);
        assert_eq!(cpu.interval.origin, Origin::Line(16));
        assert_eq!(config.prometheus.hosts.value, ["a.example"]);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
        assert_eq!(
            problem("\n[prometheus]\nlissten = \"x\"\n"),
            "line 3: prometheus.lissten: there is no such key: did you mean listen?; \
             the keys here are enabled, listen, hosts, processes"
        );
        assert!(problem("backed = \"auto\"").contains("did you mean backend?"));
        assert!(problem("[promtheus]\nx = 1").starts_with("line 1: promtheus: "));
        assert!(problem("[metrics.cpu_stat]\nenabled = true").contains("did you mean cpu_stats?"));
        assert!(problem("[metrics.cpu_stats]\nx = 1").contains("metrics.cpu_stats.x"));
        assert!(problem("log = 3").contains("a table, not a number"));
        assert!(problem("log.format.x = 3").starts_with("line 1: log.format: "));
    }

    #[test]
    fn a_bad_value_is_named_with_its_key_and_line() {
        assert_eq!(
            problem("[tiers]\nfast = \"0s\""),
            "line 2: tiers.fast: \"0s\" is too short: metrics are collected every 100ms at most"
        );
        assert!(problem("tiers.fast = \"1ms\"").starts_with("line 1: tiers.fast: "));
        assert!(problem("tiers.system = \"99ms\"").contains("every 100ms at most"));
        assert!(
            problem("metrics.cpu_stats.interval = \"20ms\"")
                .starts_with("line 1: metrics.cpu_stats.interval: \"20ms\" is too short")
        );
        assert!(problem("tiers.fast = 5").contains("not a number"));
        assert!(problem("backend = \"bpf\"").contains("auto, ebpf or procfs"));
        assert!(problem("prometheus.listen = \"9464\"").contains("address with a port"));
        assert!(problem("prometheus.hosts = \"a\"").contains("a list of names"));
        assert!(problem("prometheus.hosts = [\"a:1\"]").contains("without ports"));
        assert!(problem("prometheus.processes = -1").contains("from 0 to 1000"));
        assert!(problem("prometheus.enabled = \"yes\"").contains("true or false"));
        assert_eq!(
            problem("[log]\nfilter = \"debgu\""),
            "line 2: log.filter: \"debgu\" is no level and no target; did you mean debug? \
             Write a level (off, error, warn, info, debug or trace) or target=level, like \
             collector::bus=debug"
        );
    }

    #[test]
    fn all_problems_are_told_at_once_in_the_order_of_the_lines() {
        let problems = read("x = 1\ny = 2\n[log]\nformat = 3\n").unwrap_err();
        let lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [1, 2, 4]);
    }

    #[test]
    fn what_is_not_toml_is_named_with_its_line() {
        assert!(problem("backend = \"auto\"\n[log\n").starts_with("line 2: "));
        assert!(parse(Path::new("f"), b"a = 1\n\xff").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_content_makes_it_panic(content: Vec<u8>) {
            let _ = parse(Path::new("f"), &content);
        }
    }
}
