use std::{net::SocketAddr, path::Path, str::FromStr};

use toml::de::{DeTable, DeValue};

use super::{
    Config, ConfigError, Interval, IntervalError, Origin, Problem, Setting, ValueError,
    error::HOST_NAMES,
};
use crate::{
    collectors::FLOOR,
    metric::{UnknownMetric, nearest},
};

/// Parses the content of a file; keys that it lacks have their defaults.
pub(super) fn parse(path: &Path, content: &[u8]) -> Result<Config, ConfigError> {
    let invalid = |problems| ConfigError::Content {
        path: path.to_owned(),
        problems,
    };
    let text = std::str::from_utf8(content).map_err(|error| {
        let line = 1 + count_lines(&content[..error.valid_up_to()]);
        invalid(vec![Problem {
            line,
            key: None,
            error: ValueError::NotUtf8,
        }])
    })?;
    let document = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        invalid(vec![Problem {
            line: line_at(text, start),
            key: None,
            error: ValueError::Syntax(error.message().replace('\n', ", ")),
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
        Err(invalid(reader.problems))
    }
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + count_lines(&text.as_bytes()[..offset.min(text.len())])
}

/// Walks the tables of the file, and sets the values of the configuration.
struct Reader<'t> {
    text: &'t str,
    config: Config,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn table(&mut self, path: &mut Vec<String>, table: &DeTable<'_>) {
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            let line = line_at(self.text, key.span().start);
            let result = match value.get_ref() {
                DeValue::Table(inner) if is_table(path) => {
                    self.table(path, inner);
                    Ok(())
                }
                value => self.value(path, value, line),
            };
            if let Err(error) = result {
                self.problems.push(Problem {
                    line,
                    key: Some(path.join(".")),
                    error,
                });
            }
            path.pop();
        }
    }

    fn value(
        &mut self,
        path: &[String],
        value: &DeValue<'_>,
        line: usize,
    ) -> Result<(), ValueError> {
        let config = &mut self.config;
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let at = Origin::Line(line);
        match path.as_slice() {
            ["backend"] => set(&mut config.backend, text(value)?.parse()?, at),
            ["log", "format"] => set(&mut config.log.format, text(value)?.parse()?, at),
            ["log", "filter"] => {
                set(&mut config.log.filter, Some(text(value)?.parse()?), at);
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
                    return Err(UnknownMetric { name }.into());
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

/// The tables at the top level.
const TABLES: &[&str] = &["log", "prometheus", "tiers", "metrics"];

/// Whether the key of this path takes a table.
fn is_table(path: &[String]) -> bool {
    match path {
        [name] => TABLES.contains(&name.as_str()),
        [metrics, name] => metrics == "metrics" && crate::metric::find(name).is_some(),
        _ => false,
    }
}

/// The error of an unknown key, with the keys of its table.
fn unknown_key(path: &[&str]) -> ValueError {
    let (known, name): (&'static [&'static str], &str) = match path {
        ["log", name, ..] => (&["format", "filter"], name),
        ["prometheus", name, ..] => (&["enabled", "listen", "hosts", "processes"], name),
        ["tiers", name, ..] => (&["hardware", "system", "fast"], name),
        ["metrics", _, name, ..] => (&["enabled", "interval"], name),
        [name, ..] => (&["backend", "log", "prometheus", "tiers", "metrics"], name),
        [] => (&[], ""),
    };
    let near = nearest(name, known.iter().copied());
    ValueError::UnknownKey { near, known }
}

fn set<T>(setting: &mut Setting<T>, value: T, origin: Origin) {
    *setting = Setting { value, origin };
}

fn expected(expected: &'static str, value: &DeValue<'_>) -> ValueError {
    let found = match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    ValueError::Type { expected, found }
}

fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, ValueError> {
    value.as_str().ok_or_else(|| expected("a string", value))
}

fn flag(value: &DeValue<'_>) -> Result<bool, ValueError> {
    value
        .as_bool()
        .ok_or_else(|| expected("true or false", value))
}

fn count(value: &DeValue<'_>, max: usize) -> Result<usize, ValueError> {
    value
        .as_integer()
        .and_then(|number| usize::from_str_radix(number.as_str(), number.radix()).ok())
        .filter(|number| *number <= max)
        .ok_or(ValueError::OutOfRange { max })
}

/// The interval of a metric. One below the floor of every collector is an error
/// here, so that `config show` never shows an interval that is not in force.
fn pace(value: &DeValue<'_>) -> Result<Interval, ValueError> {
    let text = value
        .as_str()
        .ok_or_else(|| expected("a duration in a string, like \"10s\"", value))?;
    let below_floor = || ValueError::BelowFloor {
        text: text.to_owned(),
        floor: humantime::format_duration(FLOOR).to_string(),
    };
    match text.parse::<Interval>() {
        Ok(interval) if interval.duration() < FLOOR => Err(below_floor()),
        Ok(interval) => Ok(interval),
        Err(IntervalError::TooShort(_)) => Err(below_floor()),
        Err(error) => Err(error.into()),
    }
}

fn names(value: &DeValue<'_>) -> Result<Vec<String>, ValueError> {
    let list = value
        .as_array()
        .ok_or_else(|| expected(HOST_NAMES, value))?;
    let is_in_name = |c: char| c.is_alphanumeric() || "-._".contains(c);
    list.iter()
        .map(|name| {
            let name = name.get_ref().as_str().unwrap_or_default();
            if name.is_empty() || !name.chars().all(is_in_name) {
                return Err(ValueError::HostNames);
            }
            Ok(name.to_owned())
        })
        .collect()
}

fn address(value: &DeValue<'_>) -> Result<SocketAddr, ValueError> {
    let text = text(value)?;
    SocketAddr::from_str(text).map_err(|_error| ValueError::Address(text.to_owned()))
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
    fn an_empty_file_gives_the_defaults() {
        let config = read("").unwrap();
        assert_eq!(config.backend, Config::default().backend);
        assert_eq!(config.metrics, Config::default().metrics);
    }

    #[test]
    fn every_key_is_read_and_has_its_line_as_origin() {
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
    fn an_unknown_key_is_reported_with_its_line_and_the_nearest_key() {
        assert_eq!(
            problem("\n[prometheus]\nlissten = \"x\"\n"),
            "line 3: prometheus.lissten: unknown key: did you mean listen?; \
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
    fn an_invalid_value_is_reported_with_its_key_and_line() {
        assert_eq!(
            problem("[tiers]\nfast = \"0s\""),
            "line 2: tiers.fast: \"0s\" is too short: the shortest interval of a collection is 100ms"
        );
        assert!(problem("tiers.fast = \"1ms\"").starts_with("line 1: tiers.fast: "));
        assert!(problem("tiers.system = \"99ms\"").contains("is 100ms"));
        assert!(
            problem("metrics.cpu_stats.interval = \"20ms\"")
                .starts_with("line 1: metrics.cpu_stats.interval: \"20ms\" is too short")
        );
        assert!(problem("tiers.fast = 5").contains("not a number"));
        assert!(problem("backend = \"bpf\"").contains("auto, ebpf or procfs"));
        assert!(problem("prometheus.listen = \"9464\"").contains("address with a port"));
        assert!(problem("prometheus.hosts = \"a\"").contains("a list of host names"));
        assert!(problem("prometheus.hosts = [\"a:1\"]").contains("without ports"));
        assert!(problem("prometheus.processes = -1").contains("from 0 to 1000"));
        assert!(problem("prometheus.enabled = \"yes\"").contains("true or false"));
        assert_eq!(
            problem("[log]\nfilter = \"debgu\""),
            "line 2: log.filter: \"debgu\" is neither a level nor a target; did you mean debug? \
             Write a level (off, error, warn, info, debug or trace) or target=level, like \
             collector::bus=debug"
        );
    }

    #[test]
    fn all_problems_are_reported_sorted_by_line() {
        let problems = read("x = 1\ny = 2\n[log]\nformat = 3\n").unwrap_err();
        let lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [1, 2, 4]);
    }

    #[test]
    fn a_syntax_error_has_its_line() {
        assert!(problem("backend = \"auto\"\n[log\n").starts_with("line 2: "));
        assert!(parse(Path::new("f"), b"a = 1\n\xff").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_content_causes_a_panic(content: Vec<u8>) {
            let _ = parse(Path::new("f"), &content);
        }
    }
}
