//! An own metric on the same bus as the others: the open files of this host.
//!
//! `cargo run --package collector --example own_metric`

use std::time::Duration;

use collector::{
    bus::{Bus, every},
    collectors::{CollectError, Collector, LoadAvgCollector},
    metric::Reading,
    source::Tick,
};
use serde::{Deserialize, Serialize};

/// Open files of this host.
#[derive(Clone, Debug, Serialize, Deserialize, Reading)]
#[metric(name = "open_files", tier = "system", sources("/proc/sys/fs/file-nr"))]
struct OpenFiles {
    /// Open files (struct file) of all processes.
    #[field(1)]
    open: u64,
    /// Their limit (`fs.file-max`).
    #[field(2)]
    limit: u64,
}

struct OpenFilesCollector;

impl Collector for OpenFilesCollector {
    type Reading = OpenFiles;

    fn collect(&mut self, tick: &Tick) -> Result<OpenFiles, CollectError> {
        let content = tick.read("/proc/sys/fs/file-nr")?;
        let text = String::from_utf8_lossy(&content);
        // Open files, an unused field, and the limit:
        // https://docs.kernel.org/admin-guide/sysctl/fs.html#file-max-file-nr
        let mut numbers = text.split_ascii_whitespace().map(str::parse);
        match (numbers.next(), numbers.nth(1)) {
            (Some(Ok(open)), Some(Ok(limit))) => Ok(OpenFiles { open, limit }),
            _ => Err(CollectError::failed(format!("no three numbers: {text:?}"))),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus = Bus::builder()
        .collector(OpenFilesCollector)
        .collector(LoadAvgCollector)
        .build()?;
    let mut files = bus.subscribe::<OpenFiles>(every(Duration::from_millis(500)))?;
    for _ in 0..4 {
        let Ok(sample) = files.recv().await else {
            break;
        };
        println!("{}", serde_json::to_string(&sample)?);
    }
    let snapshot = bus.snapshot(collector::bus::SnapshotRequest::all()).await?;
    println!("{}", serde_json::to_string_pretty(&snapshot)?);
    bus.shutdown().await;
    Ok(())
}
