//! An agent inside a program of one's own: which processes use the CPUs, and
//! which begin and exit, for five seconds.
//!
//! `cargo run --package collector --example embed`

use std::{error::Error, time::Duration};

use collector::{
    agent::Agent,
    feed::{Feed, RecvError, SnapshotRequest, SubscribeOptions, every},
    metric::{ProcessEvent, ProcessStats, Sample},
};

/// Five rows of the processes by CPU time since the sample before.
fn show(sample: &Sample<ProcessStats>, before: Option<&Sample<ProcessStats>>) {
    let (Some(now), Some(earlier)) = (&sample.data, before) else {
        return;
    };
    let (Some(then), Some(elapsed)) = (&earlier.data, sample.since(earlier)) else {
        return;
    };
    let used = |reading: &ProcessStats, pid, start_time_ns| {
        let mut same = reading.processes.iter();
        same.find(|other| other.pid == pid && other.start_time_ns == start_time_ns)
            .and_then(|process| process.cpu_ns)
    };
    let mut rows: Vec<_> = now
        .processes
        .iter()
        .filter_map(|process| {
            let before = used(then, process.pid, process.start_time_ns).unwrap_or(0);
            let ns = process.cpu_ns?.saturating_sub(before);
            Some((ns as f64 / elapsed.as_nanos() as f64, process))
        })
        .collect();
    rows.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    println!("{} processes", now.processes.len());
    for (cpus, process) in rows.iter().take(5) {
        println!(
            "  {:>7} {:<16} {:6.1} %",
            process.pid,
            process.comm,
            cpus * 100.0
        );
    }
}

/// All that the metrics are made into here works with any feed.
async fn watch(feed: &impl Feed, duration: Duration) -> Result<(), Box<dyn Error>> {
    let mut processes = feed.subscribe::<ProcessStats>(every(Duration::from_secs(1)))?;
    let mut events = feed.subscribe::<ProcessEvent>(SubscribeOptions::default().queue(10_000))?;
    let (mut before, mut counted) = (None, 0_u64);
    let end = tokio::time::sleep(duration);
    tokio::pin!(end);
    loop {
        tokio::select! {
            sample = processes.recv() => {
                let sample = sample?;
                show(&sample, before.as_ref());
                before = Some(sample);
            }
            event = events.recv() => match event {
                Ok(event) => {
                    counted += u64::from(event.data.is_some());
                    if !event.missed.is_none() {
                        println!("events: {}", event.missed);
                    }
                }
                Err(RecvError::Ended(why)) => println!("no more events: {why}"),
                Err(error) => return Err(error.into()),
            },
            () = &mut end => break,
        }
    }
    println!("{counted} events (fork, exec, exit)");
    let snapshot = feed.snapshot(SnapshotRequest::of(["load_avg"])).await?;
    println!("{}", serde_json::to_string(&snapshot)?);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let agent = Agent::builder()
        .disable("disk_info")
        .pace("load_avg", Duration::from_secs(2))
        .start()?;
    let report = agent.report();
    println!("backend: {}", report.backend);
    if let Some(reason) = &report.fallback {
        println!("without eBPF: {reason}");
    }
    watch(agent.bus(), Duration::from_secs(5)).await?;
    agent.stop().await;
    Ok(())
}
