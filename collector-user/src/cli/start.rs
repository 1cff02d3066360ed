use std::{path::PathBuf, process::ExitCode};

use collector::{
    agent::Agent,
    bus::Mode,
    config::Config,
    metric::{MetricInfo, UnknownMetric, find},
    source::ebpf::LoadOptions,
};
use tokio::runtime::Builder;

use super::{args::GlobalArgs, error::Failure, log, object};

/// What a subcommand needs before it starts an agent.
pub(super) struct Start {
    pub(super) config: Config,
    root: PathBuf,
}

impl Start {
    pub(super) fn new(
        config: Config,
        global: &GlobalArgs,
        is_agent: bool,
    ) -> Result<Self, Failure> {
        log::init(&config, is_agent)?;
        Ok(Self {
            config,
            root: global.root.clone().unwrap_or_else(|| PathBuf::from("/")),
        })
    }

    /// The metrics of these names.
    pub(super) fn metrics(&self, names: &[String]) -> Result<Vec<&'static MetricInfo>, Failure> {
        let mut metrics: Vec<&'static MetricInfo> = Vec::new();
        for name in names {
            let Some(metric) = find(name.trim()) else {
                return Err(UnknownMetric { name: name.clone() }.into());
            };
            if !self.config.is_enabled(metric) {
                return Err(Failure::Usage(format!(
                    "{name} is turned off by the configuration: set metrics.{name}.enabled to true"
                )));
            }
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        Ok(metrics)
    }

    /// Starts the agent, on the runtime that this is called on.
    pub(super) fn agent(&self) -> Result<Agent, Failure> {
        self.agent_in(Mode::Bus)
    }

    /// As [`agent`](Self::agent), with another way for consumers to share.
    pub(super) fn agent_in(&self, mode: Mode) -> Result<Agent, Failure> {
        let ebpf = LoadOptions {
            object: object::from_environment(),
            ..LoadOptions::default()
        };
        let agent = self.config.agent().root(self.root.clone());
        Ok(agent.ebpf(ebpf).mode(mode).start()?)
    }
}

/// Runs a subcommand on a runtime with all that a bus needs.
pub(super) fn block_on(
    subcommand: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    // All that takes time is done by other threads. A runtime with workers of
    // its own would panic where no thread can be made, and then wait for them
    // for ever.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(subcommand);
    // Dropping the runtime would wait for a read that hangs.
    runtime.shutdown_background();
    result
}
