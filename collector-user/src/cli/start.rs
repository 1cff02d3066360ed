use std::{path::PathBuf, process::ExitCode};

use collector::{
    agent::Agent,
    bus::Mode,
    config::Config,
    metric::{MetricInfo, UnknownMetric, find},
    source::bpf::LoadOptions,
};
use tokio::runtime::Builder;

use super::{args::GlobalArgs, error::Failure, log, object};

/// The configuration and the root, from which a subcommand starts an agent.
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
        log::init(&config, is_agent).map_err(Failure::Log)?;
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
                return Err(Failure::Disabled(name.clone()));
            }
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        Ok(metrics)
    }

    /// Starts the agent on the current runtime.
    pub(super) fn agent(&self) -> Result<Agent, Failure> {
        self.agent_in(Mode::Bus)
    }

    /// As [`agent`](Self::agent), with another mode of sharing.
    pub(super) fn agent_in(&self, mode: Mode) -> Result<Agent, Failure> {
        let ebpf = LoadOptions {
            object: object::from_environment(),
            ..LoadOptions::default()
        };
        let agent = self.config.agent().root(self.root.clone());
        Ok(agent.ebpf(ebpf).mode(mode).start()?)
    }
}

/// Runs a subcommand on a new runtime.
pub(super) fn block_on(
    subcommand: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    // Blocking work is done by other threads. A multi-threaded runtime would panic where
    // no thread can be created, and then wait for its workers for ever.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    let result = runtime.block_on(subcommand);
    // A drop of the runtime would wait for a read that hangs.
    runtime.shutdown_background();
    result
}
