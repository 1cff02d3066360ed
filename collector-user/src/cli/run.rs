use std::{io::Write as _, process::ExitCode, time::Duration};

use collector::{
    agent::Agent,
    export::{Server, prometheus::Exporter},
    manager::{HardwareManager, MetricsManager},
};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{
    error::Failure,
    output::Output,
    start::{self, Start, StopSignals},
    table,
};

/// How long a client may take to read its answer after the agent was told to
/// stop.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// The agent, until it is told to stop.
pub(super) fn run(start: &Start) -> Result<ExitCode, Failure> {
    start::block_on(agent(start))
}

async fn agent(start: &Start) -> Result<ExitCode, Failure> {
    let mut stop = StopSignals::listen()?;
    let config = &start.config;
    // The port comes first: without it the programs need not be loaded.
    let server = if config.prometheus.enabled.value {
        let address = config.prometheus.listen.value;
        Some(Server::bind(address).await.map_err(Failure::failed)?)
    } else {
        None
    };
    let agent = start.agent()?;
    // An agent whose standard output nobody reads runs all the same.
    let _ = say(&agent, server.as_ref());
    if let Some(reason) = &agent.report().fallback {
        warn!("fell back to procfs: {reason}");
    }
    let metrics = MetricsManager::start(agent.bus(), |metric| config.pace(metric).duration());
    let metrics = metrics.map_err(Failure::failed)?;
    let _hardware = HardwareManager::start(agent.bus());

    let (stopping, stopped) = watch::channel(false);
    let mut serving = server.map(|server| {
        info!(address = %server.address(), "serving Prometheus");
        let exporter = Exporter::new(config.prometheus.processes.value);
        tokio::spawn(server.serve(metrics, exporter, stopped))
    });
    let ended = async {
        match &mut serving {
            Some(serving) => serving.await,
            None => std::future::pending().await,
        }
    };
    let failure = tokio::select! {
        signal = stop.recv() => {
            info!(signal, "stopping");
            None
        }
        ended = ended => Some(match ended {
            Ok(Ok(())) => "the exporter ended".to_owned(),
            Ok(Err(error)) => format!("the exporter ended: {error}"),
            Err(error) => format!("the exporter ended: {error}"),
        }),
    };
    let _ = stopping.send(true);
    if failure.is_none()
        && let Some(serving) = serving
    {
        let _ = tokio::time::timeout(LAST_ANSWERS, serving).await;
    }
    agent.stop().await;
    info!("stopped");
    match failure {
        None => Ok(ExitCode::SUCCESS),
        Some(reason) => Err(Failure::Failed(reason)),
    }
}

/// What a person who started it wants to know, on one screen.
fn say(agent: &Agent, server: Option<&Server>) -> Result<(), Failure> {
    let mut out = Output::new();
    let version = env!("CARGO_PKG_VERSION");
    let backend = agent.report().backend;
    writeln!(
        out,
        "collector {version}, CPUs and processes by {backend}\n"
    )?;
    write!(out, "{}", table::report(agent.report(), out.line_size()))?;
    writeln!(out)?;
    if let Some(server) = server {
        let address = server.address();
        writeln!(out, "Prometheus:      http://{address}/metrics")?;
        writeln!(
            out,
            "health:          http://{address}/healthz  http://{address}/readyz"
        )?;
    }
    writeln!(out, "live processes:  collector watch process_stats")?;
    writeln!(out, "what works here: collector doctor")?;
    writeln!(out, "Ctrl-C stops it.")?;
    out.flush()?;
    Ok(())
}
