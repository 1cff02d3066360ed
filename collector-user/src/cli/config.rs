use std::{io::Write as _, process::ExitCode, time::Duration};

use collector::{
    collectors::{Collector, CollectorSet, add_procfs, add_tiers_1_and_2},
    config::{Config, DEFAULT_PATH, LogFilter, Origin},
    metric::{Metric, MetricInfo, Reading},
    text::harmless,
};
use humantime::format_duration;

use super::{
    args::{ConfigCommand, GlobalArgs},
    error::{Failure, complain},
    log,
    output::Output,
};

/// `config check` and `config show`.
pub(super) fn config(global: &GlobalArgs, command: &ConfigCommand) -> Result<ExitCode, Failure> {
    let config = effective(global)?;
    let mut out = Output::new();
    match command {
        ConfigCommand::Show => write!(out, "{config}")?,
        ConfigCommand::Check => {
            match &config.file {
                Some(file) => writeln!(out, "{} is valid.", harmless(&file.to_string_lossy()))?,
                None => writeln!(
                    out,
                    "{DEFAULT_PATH} does not exist: the defaults are in force."
                )?,
            }
            for warning in config.warnings() {
                complain(&warning);
            }
            for warning in below_floor(&config, &floors()) {
                complain(&warning);
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Each metric with the floor of its collector.
type Floors = Vec<(&'static MetricInfo, Duration)>;

/// The floor of every collector.
fn floors() -> Floors {
    #[derive(Default)]
    struct All(Floors);

    impl CollectorSet for All {
        fn add<C: Collector>(mut self, collector: C) -> Self {
            self.0.push((&C::Reading::METRIC, collector.floor()));
            self
        }
    }

    let (All(floors), _poller) = add_procfs(add_tiers_1_and_2(All::default()));
    floors
}

/// A warning for each metric whose configured interval is below the floor of its
/// collector.
fn below_floor(config: &Config, floors: &Floors) -> Vec<String> {
    let is_enabled = |metric| config.is_enabled(metric);
    let floors = floors.iter().filter(|(metric, _)| is_enabled(metric));
    floors
        .map(|(metric, floor)| (metric.name, config.pace(&Metric::declared(metric)), *floor))
        .filter(|(_, interval, floor)| interval.duration() < *floor)
        .map(|(name, interval, floor)| {
            format!(
                "{name} is collected every {}, not every {interval}: its collector has this floor",
                format_duration(floor)
            )
        })
        .collect()
}

/// The configuration in force: the file, overridden by the environment and the command
/// line.
pub(super) fn effective(global: &GlobalArgs) -> Result<Config, Failure> {
    let mut config = Config::load(global.config.as_deref())?;
    let filter = match std::env::var(log::VARIABLE) {
        Ok(filter) if filter.trim().is_empty() => None,
        Ok(filter) => Some(Some(parsed_filter(&filter)?)),
        Err(std::env::VarError::NotPresent) => None,
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err(Failure::FilterNotUtf8);
        }
    };
    let environment = Origin::Environment(log::VARIABLE);
    config.log.filter.override_with(filter, environment);
    let option = Origin::Option("--log-format");
    config.log.format.override_with(global.log_format, option);
    config
        .backend
        .override_with(global.backend, Origin::Option("--backend"));
    Ok(config)
}

fn parsed_filter(text: &str) -> Result<LogFilter, Failure> {
    text.parse().map_err(Failure::Filter)
}

#[cfg(test)]
mod tests {
    use collector::metric::{CpuStats, LoadAvg};

    use super::*;

    #[test]
    fn an_interval_below_the_floor_of_its_collector_is_a_warning() {
        let config = Config::default();
        let floors = vec![
            (&LoadAvg::METRIC, Duration::from_secs(30)),
            (&CpuStats::METRIC, Duration::from_millis(100)),
        ];
        assert_eq!(
            below_floor(&config, &floors),
            ["load_avg is collected every 30s, not every 10s: its collector has this floor"]
        );
    }

    #[test]
    fn the_default_intervals_are_not_below_any_floor() {
        let floors = floors();
        assert!(!floors.is_empty());
        assert!(below_floor(&Config::default(), &floors).is_empty());
    }
}
