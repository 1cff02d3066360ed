use std::{io::Write as _, process::ExitCode, time::Duration};

use collector::{
    agent::Agent,
    bus::{Bus, BusStatus, Mode, every},
    manager::{HardwareManager, MetricsManager},
    metric::{Metric, Tier},
};
use tokio::{task::JoinSet, time::Instant};

use super::{
    args::Format,
    error::{Failure, complain},
    mode_cost::ModeCost,
    output::Output,
    start::{self, Start},
    table,
};

/// Subscribers beside the two managers.
const SUBSCRIBERS: u64 = 10;

/// `status --modes`: measures each mode in turn, with the same consumers.
pub(super) fn modes(
    start: &Start,
    duration: Duration,
    format: Format,
) -> Result<ExitCode, Failure> {
    start::block_on(async {
        let mut costs = Vec::new();
        for (mode, name) in [
            (Mode::Bus, "bus"),
            (Mode::Cache, "cache"),
            (Mode::Independent, "independent"),
        ] {
            complain(&format!(
                "measuring {name} for {} s",
                duration.as_secs_f64()
            ));
            let agent = start.agent_in(mode)?;
            costs.push(measure(&agent, name, duration).await?);
            agent.stop().await;
        }
        let mut out = Output::new();
        match format {
            Format::Json => out.json_line(&serde_json::json!({
                "consumers": { "managers": 2, "subscribers": SUBSCRIBERS },
                "measured_ns": duration.as_nanos() as u64,
                "a_minute": costs,
            }))?,
            Format::Table => write!(out, "{}", table::modes(&costs, out.line_size()))?,
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn measure(
    agent: &Agent,
    mode: &'static str,
    duration: Duration,
) -> Result<ModeCost, Failure> {
    let bus = agent.bus();
    let begun = Instant::now();
    let (before, cpu_before) = (bus.status(), cpu_ms());
    let _metrics = MetricsManager::start(bus, |metric| metric.tier().default_interval())?;
    let _hardware = HardwareManager::start(bus);
    let mut subscribers = JoinSet::new();
    for number in 0..SUBSCRIBERS {
        for metric in bus.metrics() {
            let interval = Duration::from_secs(match metric.tier() {
                Tier::Fast => 1 + number % 5,
                Tier::System => 10,
                Tier::Hardware => 60,
            });
            subscribers.spawn(follow(bus.clone(), metric, interval));
        }
        // Staggered, as independent consumers are.
        tokio::time::sleep(Duration::from_millis(37)).await;
    }
    tokio::time::sleep_until(begun + duration).await;
    let (after, cpu_after) = (bus.status(), cpu_ms());
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    let collections = |status: &BusStatus| -> u64 {
        status
            .metrics
            .iter()
            .map(|metric| metric.counters.collections)
            .sum()
    };
    let a_minute = |before: u64, after: u64| after.saturating_sub(before) as f64 / minutes;
    Ok(ModeCost {
        mode,
        collections: a_minute(collections(&before), collections(&after)),
        opens: a_minute(before.sources.opens, after.sources.opens),
        reads: a_minute(before.sources.reads, after.sources.reads),
        reads_saved: a_minute(before.sources.reads_saved, after.sources.reads_saved),
        read_bytes: a_minute(before.sources.bytes, after.sources.bytes),
        cpu_ms: (cpu_after - cpu_before) / minutes,
    })
}

/// Receives one metric until it is aborted.
async fn follow(bus: Bus, metric: Metric, interval: Duration) {
    // A metric that is not collected has no samples.
    if let Ok(mut subscription) = bus.subscribe_any(metric.name(), every(interval)) {
        while subscription.recv().await.is_ok() {}
    }
}

/// CPU time of this process.
fn cpu_ms() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 * 1e3 + used.tv_nsec as f64 / 1e6
}
