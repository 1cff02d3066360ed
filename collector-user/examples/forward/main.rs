//! Forwards subscriptions through a Unix socket to a second process, which
//! offers them as the same `Subscription` type.
//!
//! `cargo run --package collector --example forward` starts both processes.
//! `… --example forward serve SOCKET` and `… watch SOCKET` start one each.
//!
//! The first process has a bus with the load of this host, and with a metric of
//! its own, `sessions`. The second one does not declare that metric, so its
//! samples are untyped there.

mod client;
mod protocol;
mod server;

use std::{
    env,
    error::Error,
    io,
    path::Path,
    process::{Child, Command},
    sync::Arc,
    time::Duration,
};

use client::RemoteFeed;
use collector::{
    bus::Bus,
    collectors::LoadAvgCollector,
    feed::{Feed, SnapshotRequest, every},
    metric::{Backend, Kind, LoadAvg, MetricInfo, Reading, Tier},
};
use serde::{Deserialize, Serialize};

/// A metric of the first process.
#[derive(Debug, Serialize, Deserialize)]
struct Sessions {
    open: u64,
}

impl Reading for Sessions {
    const METRIC: MetricInfo = MetricInfo {
        name: "sessions",
        tier: Tier::Fast,
        kind: Kind::State,
        help: "Open sessions",
    };

    fn heap_bytes(&self) -> usize {
        0
    }
}

/// The first process: a bus, and its subscriptions forwarded.
async fn serve(socket: &Path) -> Result<(), Box<dyn Error>> {
    let bus = Bus::builder()
        .collector(LoadAvgCollector)
        .producer::<Sessions>(Backend::named("forward"))
        .build()?;
    let publisher = bus.publisher::<Sessions>()?;
    let publish = async {
        for open in 1.. {
            publisher.publish(Sessions { open });
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        served = server::serve(Arc::new(bus.clone()), socket) => Ok(served?),
        () = publish => Ok(()),
    }
}

/// The second process: it uses the feed as it would use a bus.
async fn watch(feed: &impl Feed) -> Result<(), Box<dyn Error>> {
    let names: Vec<_> = feed.metrics().iter().map(ToString::to_string).collect();
    println!("metrics: {}", names.join(", "));

    let mut loads = feed.subscribe::<LoadAvg>(every(Duration::from_millis(200)))?;
    let mut sessions = feed.subscribe_any("sessions", every(Duration::from_millis(300)))?;
    for _ in 0..3 {
        let sample = loads.recv().await?;
        let load = sample.data.ok_or("a sample without a reading")?;
        let instance = &sample.origin.instance;
        println!(
            "load_avg {}: {} ({instance})",
            sample.sequence, load.load_1m
        );
        println!("{}", serde_json::to_string(&sessions.recv().await?)?);
    }
    let snapshot = feed.snapshot(SnapshotRequest::all()).await?;
    println!("snapshot of {} metrics", snapshot.metrics.len());
    Ok(())
}

/// Connects to a process that may still be starting.
async fn connect(socket: &Path) -> io::Result<RemoteFeed> {
    let mut attempts = 0;
    loop {
        match RemoteFeed::connect(socket).await {
            Err(_starting) if attempts < 1_000 => attempts += 1,
            connected => return connected,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The first process, which ends with this value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", socket] => serve(Path::new(socket)).await,
        ["watch", socket] => watch(&connect(Path::new(socket)).await?).await,
        [] => {
            let directory = tempfile::tempdir()?;
            let socket = directory.path().join("feed.sock");
            let program = env::current_exe()?;
            let _server = Server(Command::new(program).arg("serve").arg(&socket).spawn()?);
            watch(&connect(&socket).await?).await
        }
        _ => Err("usage: forward [serve SOCKET | watch SOCKET]".into()),
    }
}

#[cfg(test)]
mod tests;
