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
    metric::Metric,
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

/// How long a client may take to read its response after the agent was told to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Runs the agent until SIGINT or SIGTERM.
pub(super) fn run(start: &Start) -> Result<ExitCode, Failure> {
    start::block_on(agent(start))
}

async fn agent(start: &Start) -> Result<ExitCode, Failure> {
    let mut stop = StopSignals::listen()?;
    raise_file_limit();
    let config = &start.config;
    // Bound first: without the port the programs need not be loaded.
    let server = if config.prometheus.enabled.value {
        let address = config.prometheus.listen.value;
        Some(Server::bind(address)?)
    } else {
        None
    };
    let own = Arc::new(OwnCounters::new(log::lines_lost()));
    let exporter = Exporter::start(config.prometheus.processes.value, Arc::clone(&own))
        .map_err(Failure::Exporter)?;
    let agent = start.agent()?;
    say(&agent, server.as_ref());
    if let Some(reason) = &agent.report().fallback {
        warn!("fell back to procfs: {reason}");
    }
    let pace = |metric: &Metric| config.pace(metric).duration();
    let observer = exporter.clone();
    let metrics = MetricsManager::start_with(agent.bus(), pace, move |sample| {
        observer.observe(sample);
    })?;
    for (metric, interval) in metrics.intervals() {
        let asked = config.pace(metric).duration();
        if interval != asked {
            warn!(
                metric = metric.name(),
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
            Some(Failure::BusEnded(ended))
        }
        ended = ended => Some(match ended {
            Ok(Ok(())) => Failure::ServerEnded,
            Ok(Err(error)) => error.into(),
            Err(error) => error.into(),
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
    failure.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// Raises the soft limit of open files to the hard limit. The default soft limit is low
/// for programs that use select(2), which this one does not.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!("cannot raise RLIMIT_NOFILE: {error}");
    }
}

/// Prints an introduction on standard output. A thread of its own writes it, so that an
/// agent whose output nobody reads does not block.
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

/// What works on this host and where to find it, on one screen.
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
