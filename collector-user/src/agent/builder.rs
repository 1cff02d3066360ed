use std::{fmt, path::PathBuf, time::Duration};

use super::{Agent, BackendChoice, StartError};
use crate::{
    bus::{BusBuilder, Mode},
    collectors::Collector,
    metric::{MetricInfo, Reading, UnknownMetric, find},
    source::bpf::LoadOptions,
};

/// Makes an [`Agent`].
///
/// ```no_run
/// use std::time::Duration;
/// use collector::agent::{Agent, BackendChoice};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let agent = Agent::builder()
///     .backend(BackendChoice::Procfs)
///     .disable("disk_info")
///     .pace("memory_stats", Duration::from_secs(2))
///     .start()?;
/// # agent.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct AgentBuilder {
    pub(super) backend: BackendChoice,
    pub(super) root: PathBuf,
    pub(super) ebpf: LoadOptions,
    pub(super) mode: Mode,
    pub(super) disabled: Vec<String>,
    pub(super) paces: Vec<(String, Duration)>,
    pub(super) own: Vec<OwnCollector>,
}

/// A collector of the embedding program.
pub(super) struct OwnCollector {
    pub(super) metric: &'static MetricInfo,
    pub(super) sources: &'static [&'static str],
    pub(super) backend: crate::metric::Backend,
    pub(super) add: Box<dyn FnOnce(BusBuilder) -> BusBuilder + Send>,
}

impl Default for AgentBuilder {
    fn default() -> Self {
        Self {
            backend: BackendChoice::Auto,
            root: PathBuf::from("/"),
            ebpf: LoadOptions::default(),
            mode: Mode::Bus,
            disabled: Vec::new(),
            paces: Vec::new(),
            own: Vec::new(),
        }
    }
}

impl AgentBuilder {
    /// How CPUs and processes are accounted; [`BackendChoice::Auto`] unless set.
    #[must_use]
    pub fn backend(self, backend: BackendChoice) -> Self {
        Self { backend, ..self }
    }

    /// The directory under which `proc`, `sys` and `etc` are; `/` unless set.
    #[must_use]
    pub fn root(self, root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            ..self
        }
    }

    /// How the eBPF programs are loaded.
    #[must_use]
    pub fn ebpf(self, ebpf: LoadOptions) -> Self {
        Self { ebpf, ..self }
    }

    /// How much consumers share; [`Mode::Bus`] unless set.
    #[must_use]
    pub fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Leaves a metric out.
    #[must_use]
    pub fn disable(mut self, metric: impl Into<String>) -> Self {
        self.disabled.push(metric.into());
        self
    }

    /// The interval of subscriptions that give none, and the maximum age in
    /// snapshots that give none; that of the metric's tier unless set.
    #[must_use]
    pub fn pace(mut self, metric: impl Into<String>, interval: Duration) -> Self {
        self.paces.push((metric.into(), interval));
        self
    }

    /// Adds a collector of an own metric, or one that replaces the agent's
    /// collector of a metric.
    #[must_use]
    pub fn collector<C: Collector>(mut self, collector: C) -> Self {
        self.own.push(OwnCollector {
            metric: &C::Reading::METRIC,
            sources: collector.sources(),
            backend: collector.backend(),
            add: Box::new(|bus| bus.collector(collector)),
        });
        self
    }

    /// Loads the programs if the backend allows it, and starts a bus on the current
    /// tokio runtime, which must have its timer enabled. Nothing is collected
    /// before the first subscription or snapshot. Blocks for some tens of milliseconds.
    ///
    /// # Errors
    ///
    /// When the chosen backend cannot start, there is no
    /// `/proc`, a metric that was named does not exist, or the bus cannot be
    /// built.
    pub fn start(self) -> Result<Agent, StartError> {
        Agent::start(self)
    }

    /// Checks the names of metrics.
    pub(super) fn check_names(&self) -> Result<(), UnknownMetric> {
        let own = |name: &str| self.own.iter().any(|own| own.metric.name == name);
        let paces = self.paces.iter().map(|(name, _)| name);
        match self
            .disabled
            .iter()
            .chain(paces)
            .find(|name| find(name).is_none() && !own(name))
        {
            Some(name) => Err(UnknownMetric { name: name.clone() }),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for AgentBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own: Vec<_> = self.own.iter().map(|own| own.metric.name).collect();
        f.debug_struct("AgentBuilder")
            .field("backend", &self.backend)
            .field("root", &self.root)
            .field("disabled", &self.disabled)
            .field("paces", &self.paces)
            .field("own", &own)
            .finish_non_exhaustive()
    }
}
