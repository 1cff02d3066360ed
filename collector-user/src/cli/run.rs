use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    thread,
    time::Duration,
};

use collector::{
    agent::Agent,
    export::{HttpOptions, OwnCounters, Server, prometheus::Exporter},
    manager::{HardwareManager, MetricsManager},
    metric::MetricInfo,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{
    error::Failure,
    log,
    output::Output,
    start::{self, Start},
    stop::StopSignals,
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
    raise_file_limit();
    let config = &start.config;
    // The port comes first: without it the programs need not be loaded.
    let server = if config.prometheus.enabled.value {
        let address = config.prometheus.listen.value;
        Some(Server::bind(address).map_err(Failure::failed)?)
    } else {
        None
    };
    let own = Arc::new(OwnCounters::new(log::lines_lost()));
    let exporter = Exporter::start(config.prometheus.processes.value, Arc::clone(&own))
        .map_err(|error| Failure::Failed(format!("cannot start the exporter: {error}")))?;
    let agent = start.agent()?;
    say(&agent, server.as_ref());
    if let Some(reason) = &agent.report().fallback {
        warn!("fell back to procfs: {reason}");
    }
    let pace = |metric: &MetricInfo| config.pace(metric).duration();
    let observer = exporter.clone();
    let metrics = MetricsManager::start_with(agent.bus(), pace, move |sample| {
        observer.observe(sample);
    });
    let metrics = metrics.map_err(Failure::failed)?;
    for (metric, interval) in metrics.intervals() {
        let asked = config.pace(metric).duration();
        if interval != asked {
            warn!(
                metric = metric.name,
                ?asked,
                ?interval,
                "collected at another interval"
            );
        }
    }
    let _hardware = HardwareManager::start(agent.bus());

    let (stopping, stopped) = watch::channel(false);
    let mut serving = server.map(|server| {
        info!(address = %server.address(), "serving Prometheus");
        let options = HttpOptions {
            hosts: config.prometheus.hosts.value.clone(),
            own,
        };
        tokio::spawn(server.serve(metrics, exporter, options, stopped))
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
        ended = agent.bus().wait_for_end() => {
            Some(format!("nothing is collected any more: {ended}"))
        }
        ended = ended => Some(match ended {
            Ok(Ok(())) => "the exporter ended".to_owned(),
            Ok(Err(error)) => format!("the exporter ended: {error}"),
            Err(error) => format!("the exporter ended: {error}"),
        }),
    };
    stop.stopping();
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

/// Lets the process open as many files as it may: the soft limit is low for
/// programs that cannot have numbers above 1023, which this one can.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!("cannot raise the number of files that may be open: {error}");
    }
}

/// Says on standard output what a person who started it wants to know. An agent
/// whose output nobody reads runs all the same, so a thread of its own waits for
/// a reader.
fn say(agent: &Agent, server: Option<&Server>) {
    let mut text = Vec::new();
    if introduce(&mut text, agent, server).is_err() {
        return;
    }
    let write = move || {
        let mut stdout = io::stdout();
        let _ = stdout.write_all(&text);
        let _ = stdout.flush();
    };
    let thread = thread::Builder::new().name("collector-hello".to_owned());
    let _ = thread.spawn(write);
}

/// What works here, and where to look, on one screen.
fn introduce(out: &mut impl Write, agent: &Agent, server: Option<&Server>) -> io::Result<()> {
    let size = Output::new().line_size();
    let version = env!("CARGO_PKG_VERSION");
    let backend = agent.report().backend;
    writeln!(
        out,
        "collector {version}, CPUs and processes by {backend}\n"
    )?;
    write!(out, "{}", table::report(agent.report(), size))?;
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
    Ok(())
}
