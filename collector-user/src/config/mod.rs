//! The configuration: defaults, configuration file, environment and command line, each
//! of which overrides those before it.

mod error;
mod file;
mod interval;
mod log_filter;
mod setting;
mod show;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

pub use error::{ConfigError, Problem, ValueError};
pub use interval::{Interval, IntervalError};
pub use log_filter::{LogDirective, LogFilter, LogFilterError};
pub use setting::{LogFormat, Origin, Setting, UnknownLogFormat};

use crate::{
    agent::{Agent, AgentBuilder, BackendChoice},
    metric::{CATALOG, Metric, MetricInfo, Tier},
};

/// The default path of the configuration file, which need not exist.
pub const DEFAULT_PATH: &str = "/etc/collector/collector.toml";

/// The maximum size of a configuration file, in bytes.
const MAX_SIZE: u64 = 1024 * 1024;

/// The configuration: each value with its origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file that was read; `None` if there was none.
    pub file: Option<PathBuf>,
    /// `backend`: how CPUs and processes are accounted.
    pub backend: Setting<BackendChoice>,
    /// `log`: filter and format of the log.
    pub log: LogConfig,
    /// `prometheus`: the exporter.
    pub prometheus: PrometheusConfig,
    /// `tiers`: the interval of metrics without one of their own.
    pub tiers: TierPaces,
    /// `metrics.NAME`, for every metric.
    pub metrics: BTreeMap<&'static str, MetricConfig>,
}

/// `log`: filter and format of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `log.format`.
    pub format: Setting<LogFormat>,
    /// `log.filter`: `None` is the default of the subcommand.
    pub filter: Setting<Option<LogFilter>>,
}

/// `prometheus`: the exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrometheusConfig {
    /// `prometheus.enabled`.
    pub enabled: Setting<bool>,
    /// `prometheus.listen`.
    pub listen: Setting<SocketAddr>,
    /// `prometheus.hosts`: names that are accepted in the `Host` header, besides the
    /// host's own.
    pub hosts: Setting<Vec<String>>,
    /// `prometheus.processes`: the number of processes with series of their own.
    pub processes: Setting<usize>,
}

/// `tiers`: the interval of metrics without one of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierPaces {
    /// `tiers.hardware`.
    pub hardware: Setting<Interval>,
    /// `tiers.system`.
    pub system: Setting<Interval>,
    /// `tiers.fast`.
    pub fast: Setting<Interval>,
}

/// `metrics.NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricConfig {
    /// `metrics.NAME.enabled`: whether the metric is collected.
    pub enabled: Setting<bool>,
    /// `metrics.NAME.interval`: `None` is the interval of its tier.
    pub interval: Setting<Option<Interval>>,
}

impl Config {
    /// Reads the file at `path`, or at [`DEFAULT_PATH`] if that exists.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is larger than 1 MiB, or has invalid content: the
    /// error then has every problem with its line.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let (path, must_exist) = match path {
            Some(path) => (path, true),
            None => (Path::new(DEFAULT_PATH), false),
        };
        match read(path) {
            Ok(content) if content.len() as u64 > MAX_SIZE => Err(ConfigError::TooLarge {
                path: path.to_owned(),
                limit: MAX_SIZE,
            }),
            Ok(content) => file::parse(path, &content),
            Err(error) if !must_exist && error.kind() == io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => Err(ConfigError::Read {
                path: path.to_owned(),
                error,
            }),
        }
    }

    /// The interval at which the managers subscribe to a metric.
    pub fn pace(&self, metric: &Metric) -> Interval {
        let own = self
            .metrics
            .get(metric.name())
            .and_then(|m| m.interval.value);
        own.unwrap_or(self.tiers.of(metric.tier()).value)
    }

    /// An agent with this configuration.
    pub fn agent(&self) -> AgentBuilder {
        let mut agent = Agent::builder().backend(self.backend.value);
        for &metric in CATALOG {
            agent = if self.is_enabled(metric) {
                agent.pace(metric.name, self.pace(&metric.into()).duration())
            } else {
                agent.disable(metric.name)
            };
        }
        agent
    }

    /// Settings that are valid, but probably a mistake.
    pub fn warnings(&self) -> Vec<String> {
        let filter = self.log.filter.value.as_ref();
        filter.map(LogFilter::warnings).unwrap_or_default()
    }

    /// Whether a metric is collected.
    pub fn is_enabled(&self, metric: &MetricInfo) -> bool {
        self.metrics
            .get(metric.name)
            .is_none_or(|metric| metric.enabled.value)
    }
}

/// Reads a file up to one byte more than [`MAX_SIZE`].
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = File::open(path)?;
    file.take(MAX_SIZE + 1).read_to_end(&mut content)?;
    Ok(content)
}

impl Default for Config {
    fn default() -> Self {
        let metric = |metric: &&MetricInfo| {
            let config = MetricConfig {
                enabled: Setting::default_of(true),
                interval: Setting::default_of(None),
            };
            (metric.name, config)
        };
        Self {
            file: None,
            backend: Setting::default_of(BackendChoice::Auto),
            log: LogConfig {
                format: Setting::default_of(LogFormat::Text),
                filter: Setting::default_of(None),
            },
            prometheus: PrometheusConfig {
                enabled: Setting::default_of(true),
                listen: Setting::default_of((Ipv4Addr::LOCALHOST, 9464).into()),
                hosts: Setting::default_of(Vec::new()),
                processes: Setting::default_of(50),
            },
            tiers: TierPaces {
                hardware: Setting::default_of(tier_default(Tier::Hardware)),
                system: Setting::default_of(tier_default(Tier::System)),
                fast: Setting::default_of(tier_default(Tier::Fast)),
            },
            metrics: CATALOG.iter().map(metric).collect(),
        }
    }
}

impl TierPaces {
    /// The interval of a tier.
    pub fn of(&self, tier: Tier) -> &Setting<Interval> {
        match tier {
            Tier::Hardware => &self.hardware,
            Tier::System => &self.system,
            Tier::Fast => &self.fast,
        }
    }
}

const fn tier_default(tier: Tier) -> Interval {
    Interval::fixed(tier.default_interval())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_above_the_maximum_size_is_an_error_and_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("collector.toml");
        let size = MAX_SIZE as usize;
        std::fs::write(&path, vec![b'\n'; size]).unwrap();
        assert!(Config::load(Some(&path)).is_ok());
        std::fs::write(&path, vec![b'\n'; size + 1]).unwrap();
        let error = Config::load(Some(&path)).unwrap_err();
        assert!(error.to_string().ends_with("is larger than 1048576 bytes"));
        let error = Config::load(Some(Path::new("/dev/zero"))).unwrap_err();
        assert!(matches!(error, ConfigError::TooLarge { .. }), "{error}");
    }
}
