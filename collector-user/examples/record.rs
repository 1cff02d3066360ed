//! Records a subscription to a file, and replays the file as a subscription of
//! the same type, with the times of the recording.
//!
//! `cargo run --package collector --example record`

use std::{
    error::Error,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    time::Duration,
};

use collector::{
    bus::Bus,
    collectors::LoadAvgCollector,
    feed::{Ended, RecvError, SubscribeError, SubscribeOptions, Subscription, every},
    metric::{LoadAvg, Sample},
};

/// Writes `count` samples, one a line.
async fn record(
    mut subscription: Subscription<LoadAvg>,
    file: &Path,
    count: usize,
) -> Result<(), Box<dyn Error>> {
    let mut file = File::create(file)?;
    for _ in 0..count {
        serde_json::to_writer(&mut file, &subscription.recv().await?)?;
        file.write_all(b"\n")?;
    }
    Ok(())
}

/// What was recorded, as fast as it is received, and all of it: the queue holds
/// the whole file.
fn replay(samples: Vec<Sample<LoadAvg>>) -> Result<Subscription<LoadAvg>, SubscribeError> {
    let options = SubscribeOptions::default().queue(samples.len().max(1));
    let (sender, subscription) = Subscription::channel(options)?;
    for sample in samples {
        // It fails when the subscription is dropped, which is still here.
        let _ = sender.send(sample);
    }
    sender.end(Ended::EndOfRecording);
    Ok(subscription)
}

/// It cannot tell whether the samples come from a bus or from a file.
async fn print(mut loads: Subscription<LoadAvg>) -> Result<Ended, RecvError> {
    let mut before: Option<Sample<LoadAvg>> = None;
    loop {
        match loads.recv().await {
            Ok(sample) => {
                let since = before.as_ref().and_then(|before| sample.since(before));
                let load = sample.data.as_ref().map(|reading| reading.load_1m);
                println!(
                    "{} of {}: {load:?}, {since:?} after the one before",
                    sample.sequence, sample.origin.host
                );
                before = Some(sample);
            }
            Err(RecvError::Ended(why)) => return Ok(why),
            Err(error) => return Err(error),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("load_avg.jsonl");
    let bus = Bus::builder().collector(LoadAvgCollector).build()?;
    record(bus.subscribe(every(Duration::from_millis(200)))?, &file, 5).await?;
    bus.shutdown().await;

    let lines = BufReader::new(File::open(&file)?).lines();
    let samples: Result<Vec<Sample<LoadAvg>>, Box<dyn Error>> = lines
        .map(|line| Ok(serde_json::from_str(&line?)?))
        .collect();
    let why = print(replay(samples?)?).await?;
    println!("{why}");
    Ok(())
}
