//! What the agent was told: by default, by its file, by its environment, and
//! by its command line, each of which outdoes the one before it.

mod file;
mod interval;
mod log_filter;
mod setting;
mod show;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

pub use file::{ConfigError, Problem};
pub use interval::{Interval, IntervalError};
pub use log_filter::{LogDirective, LogFilter, LogFilterError};
pub use setting::{LogFormat, Origin, Setting};

use crate::{
    agent::{Agent, AgentBuilder, BackendChoice},
    metric::{CATALOG, MetricInfo, Tier},
};

/// Where the configuration is, if nothing else is said. It need not exist.
pub const DEFAULT_PATH: &str = "/etc/collector/collector.toml";

/// The whole configuration: each value with where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file that was read; `None` if there was none.
    pub file: Option<PathBuf>,
    /// `backend`: how CPUs and processes are accounted.
    pub backend: Setting<BackendChoice>,
    /// `log`: what is logged, and how.
    pub log: LogConfig,
    /// `prometheus`: the exporter.
    pub prometheus: PrometheusConfig,
    /// `tiers`: the pace of the metrics that have none of their own.
    pub tiers: TierPaces,
    /// `metrics.NAME`, for every metric.
    pub metrics: BTreeMap<&'static str, MetricConfig>,
}

/// `log`: what is logged, and how.
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
    /// `prometheus.hosts`: names of this host under which it is asked, besides
    /// its own.
    pub hosts: Setting<Vec<String>>,
    /// `prometheus.processes`: how many processes have series of their own.
    pub processes: Setting<usize>,
}

/// `tiers`: the pace of the metrics that have none of their own.
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
    /// `metrics.NAME.enabled`: whether it is collected at all.
    pub enabled: Setting<bool>,
    /// `metrics.NAME.interval`: `None` is the pace of its tier.
    pub interval: Setting<Option<Interval>>,
}

impl Config {
    /// Reads a file; without one, [`DEFAULT_PATH`] if it exists.
    ///
    /// # Errors
    ///
    /// When a file that was named cannot be read, or when what it says cannot
    /// be meant: then all that is wrong with it is told, each with its line.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let (path, must_exist) = match path {
            Some(path) => (path, true),
            None => (Path::new(DEFAULT_PATH), false),
        };
        match std::fs::read(path) {
            Ok(text) => file::parse(path, &text),
            Err(error) if !must_exist && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => Err(ConfigError::Read {
                path: path.to_owned(),
                error,
            }),
        }
    }

    /// The pace at which the managers have a metric collected.
    pub fn pace(&self, metric: &MetricInfo) -> Interval {
        let own = self.metrics.get(metric.name).and_then(|m| m.interval.value);
        own.unwrap_or(self.tiers.of(metric.tier).value)
    }

    /// An agent as the configuration has it.
    pub fn agent(&self) -> AgentBuilder {
        let mut agent = Agent::builder().backend(self.backend.value);
        for metric in CATALOG {
            agent = if self.is_enabled(metric) {
                agent.pace(metric.name, self.pace(metric).duration())
            } else {
                agent.disable(metric.name)
            };
        }
        agent
    }

    /// What can be used, but is perhaps not meant.
    pub fn warnings(&self) -> Vec<String> {
        let filter = self.log.filter.value.as_ref();
        filter.map(LogFilter::warnings).unwrap_or_default()
    }

    /// Whether a metric is collected at all.
    pub fn is_enabled(&self, metric: &MetricInfo) -> bool {
        self.metrics
            .get(metric.name)
            .is_none_or(|metric| metric.enabled.value)
    }
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
    /// The pace of a tier.
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
