//! What the bus saves, beside callers that share a cache only, or nothing.
//!
//! The same managers and subscribers, in each mode, over the live `/proc` and
//! `/sys` of this host. Tokio's clock is paused, so ten minutes pass as fast
//! as the collections are made, and a run is the same each time.

use std::time::Duration;

use collector::{
    bus::{Bus, Mode, SnapshotRequest, every, testing::TestClock},
    collectors::{add_procfs, add_tiers_1_and_2},
    metric::{Metric, Tier},
};

use crate::cpu;

const MINUTES: u32 = 10;

/// Who consumes.
#[derive(Clone, Copy)]
struct Consumers {
    name: &'static str,
    metrics_manager: bool,
    hardware_manager: bool,
    subscribers: usize,
}

const CONSUMERS: [Consumers; 4] = [
    Consumers {
        name: "metrics manager",
        metrics_manager: true,
        hardware_manager: false,
        subscribers: 0,
    },
    Consumers {
        name: "hardware manager",
        metrics_manager: false,
        hardware_manager: true,
        subscribers: 0,
    },
    Consumers {
        name: "both managers",
        metrics_manager: true,
        hardware_manager: true,
        subscribers: 0,
    },
    Consumers {
        name: "both, 10 subscribers",
        metrics_manager: true,
        hardware_manager: true,
        subscribers: 10,
    },
];

pub(crate) fn run() {
    println!("Modes: a minute over this host's /proc and /sys, the mean of {MINUTES}");
    println!(
        "  {:<20}  {:<11}  {:>11}  {:>7}  {:>7}  {:>11}  {:>7}  {:>7}",
        "consumers", "mode", "collections", "opens", "reads", "reads saved", "KiB", "CPU ms"
    );
    for consumers in CONSUMERS {
        for mode in [Mode::Bus, Mode::Cache, Mode::Independent] {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(measure(consumers, mode));
        }
    }
}

async fn measure(consumers: Consumers, mode: Mode) {
    let (builder, _poller) = add_procfs(add_tiers_1_and_2(Bus::builder()));
    let bus = builder
        .mode(mode)
        .clock(TestClock::default())
        .build()
        .unwrap();
    let used = cpu::time();
    let mut tasks = Vec::new();
    if consumers.metrics_manager {
        for metric in bus.metrics() {
            if metric.tier() != Tier::Hardware {
                tasks.push(tokio::spawn(stream(bus.clone(), metric, None)));
            }
        }
    }
    if consumers.hardware_manager {
        tasks.push(tokio::spawn(snapshots(bus.clone())));
    }
    for number in 0..consumers.subscribers {
        // They come one after the other, as consumers do.
        tokio::time::sleep(Duration::from_millis(137)).await;
        for metric in bus.metrics() {
            let seconds = match metric.tier() {
                Tier::Fast => 1 + number % 5,
                Tier::System => 10,
                Tier::Hardware => 60,
            };
            let interval = Some(Duration::from_secs(seconds as u64));
            tasks.push(tokio::spawn(stream(bus.clone(), metric, interval)));
        }
    }
    tokio::time::sleep(Duration::from_mins(u64::from(MINUTES))).await;
    let used = cpu::time().saturating_sub(used);
    let status = bus.status();
    let collections: u64 = status
        .metrics
        .iter()
        .map(|metric| metric.counters.collections)
        .sum();
    let a_minute = |count: u64| count as f64 / f64::from(MINUTES);
    println!(
        "  {:<20}  {:<11}  {:>11.1}  {:>7.1}  {:>7.1}  {:>11.1}  {:>7.1}  {:>7.2}",
        consumers.name,
        format!("{mode:?}").to_lowercase(),
        a_minute(collections),
        a_minute(status.sources.opens),
        a_minute(status.sources.reads),
        a_minute(status.sources.reads_saved),
        a_minute(status.sources.bytes) / 1024.0,
        used.as_secs_f64() * 1e3 / f64::from(MINUTES),
    );
    for task in tasks {
        task.abort();
    }
    bus.shutdown().await;
}

/// Follows one metric, as the metrics manager does.
async fn stream(bus: Bus, metric: Metric, interval: Option<Duration>) {
    let options = interval.map(every).unwrap_or_default();
    let mut subscription = bus.subscribe_any(metric.name(), options).unwrap();
    while subscription.recv().await.is_ok() {}
}

/// Takes all hardware every five minutes, as the hardware manager does, and
/// what else its graph shows: the whole snapshot.
async fn snapshots(bus: Bus) {
    loop {
        bus.snapshot(SnapshotRequest::default()).await.unwrap();
        tokio::time::sleep(Duration::from_mins(5)).await;
    }
}
