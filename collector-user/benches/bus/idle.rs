//! What a bus costs that has little to do.

use std::time::{Duration, Instant};

use collector::{
    bus::{Bus, BusBuilder, every, testing::MockCollector},
    collectors::{add_procfs, add_tiers_1_and_2},
};

use crate::{allocations, cpu, reading::Empty};

pub(crate) fn run() {
    println!("Ticks: CPU and allocations");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        row("nobody subscribed", Duration::from_secs(3), empty(), None).await;
        let tick = Duration::from_millis(10);
        row(
            "a collector of nothing, every 10 ms",
            Duration::from_secs(3),
            empty(),
            Some(tick),
        )
        .await;
        let (builder, _poller) = add_procfs(add_tiers_1_and_2(Bus::builder()));
        row(
            "the procfs metrics, every 100 ms",
            Duration::from_secs(5),
            builder,
            Some(Duration::from_millis(100)),
        )
        .await;
    });
}

fn empty() -> BusBuilder {
    let collector = MockCollector::new(|_| Ok(Empty)).floor(Duration::from_millis(1));
    Bus::builder().collector(collector)
}

async fn row(name: &str, time: Duration, builder: BusBuilder, interval: Option<Duration>) {
    let bus = builder.build().unwrap();
    let mut subscriptions = Vec::new();
    if let Some(interval) = interval {
        for metric in bus.metrics() {
            subscriptions.push(bus.subscribe_any(metric.name(), every(interval)).unwrap());
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (ticks, calls, used) = (bus.status().ticks, allocations::calls(), cpu::time());
    let began = Instant::now();
    tokio::time::sleep(time).await;
    let took = began.elapsed();
    let used = cpu::time().saturating_sub(used);
    let calls = allocations::calls() - calls;
    let ticks = bus.status().ticks - ticks;
    println!(
        "  {name:<36}  {ticks:>4} ticks  {:>7.1} us CPU and {:>7.1} allocations a tick  {:.3} % of a CPU",
        used.as_secs_f64() * 1e6 / ticks.max(1) as f64,
        calls as f64 / ticks.max(1) as f64,
        used.as_secs_f64() / took.as_secs_f64() * 100.0,
    );
    drop(subscriptions);
    bus.shutdown().await;
}
