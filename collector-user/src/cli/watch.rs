use std::{collections::BTreeMap, io::Write as _, process::ExitCode};

use collector::{
    bus::{Bus, every},
    metric::{AnySample, Kind, Metric, MetricInfo},
};
use tokio::sync::mpsc;

use super::{
    args::{Format, WatchArgs},
    error::{Failure, complain},
    output::{Output, Size},
    start::{self, Start},
    stop::StopSignals,
    table,
};

/// The length of the queue of an event metric.
const EVENT_QUEUE_LENGTH: usize = 8192;

/// `watch`: metrics, periodically.
pub(super) fn watch(start: &Start, args: &WatchArgs) -> Result<ExitCode, Failure> {
    let metrics = start.metrics(&args.metrics)?;
    start::block_on(async {
        let mut stop = StopSignals::listen()?;
        let agent = start.agent()?;
        let (sender, mut samples) = mpsc::channel(1);
        for metric in &metrics {
            forward(agent.bus(), metric, args, sender.clone())?;
        }
        drop(sender);
        let mut screen = Screen::new(&metrics, args.output.format)?;
        loop {
            let sample = tokio::select! {
                biased;
                _ = stop.recv() => break,
                sample = samples.recv() => sample,
            };
            match sample {
                Some(sample) => screen.show(sample)?,
                None => break,
            }
        }
        screen.end()?;
        agent.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Subscribes to a metric, and forwards up to `--count` samples.
fn forward(
    bus: &Bus,
    metric: &'static MetricInfo,
    args: &WatchArgs,
    sender: mpsc::Sender<AnySample>,
) -> Result<(), Failure> {
    let mut options = every(args.interval.duration());
    if metric.kind == Kind::Event {
        options = options.queue(EVENT_QUEUE_LENGTH);
    }
    let subscription = bus.subscribe_any(metric.name, options);
    let mut subscription = subscription?;
    let interval = subscription.interval();
    if metric.kind == Kind::State && interval != args.interval.duration() {
        let (name, interval) = (metric.name, humantime::format_duration(interval));
        complain(&format!(
            "{name} is shown every {interval}: it is not collected more often"
        ));
    }
    let mut left = args.count;
    tokio::spawn(async move {
        while left != Some(0) {
            let Ok(sample) = subscription.recv().await else {
                break;
            };
            if sender.send(sample).await.is_err() {
                break;
            }
            left = left.map(|left| left - 1);
        }
    });
    Ok(())
}

/// Shows the samples.
struct Screen {
    out: Output,
    format: Format,
    /// Whether each sample is shown below the previous one.
    scrolls: bool,
    /// The number of metrics that share the terminal.
    metrics: u16,
    before: BTreeMap<Metric, AnySample>,
    /// The last block of each metric, for a redraw of the terminal.
    blocks: BTreeMap<Metric, String>,
}

impl Screen {
    fn new(metrics: &[&'static MetricInfo], format: Format) -> Result<Self, Failure> {
        // Events scroll: none replaces another.
        let scrolls = metrics.iter().any(|metric| metric.kind == Kind::Event);
        let mut screen = Self {
            out: Output::new(),
            format,
            scrolls,
            metrics: metrics.len() as u16,
            before: BTreeMap::new(),
            blocks: BTreeMap::new(),
        };
        if screen.redraws() {
            screen.out.clear()?;
        }
        Ok(screen)
    }

    fn redraws(&self) -> bool {
        self.format == Format::Table && self.out.is_terminal() && !self.scrolls
    }

    fn show(&mut self, sample: AnySample) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.out.json_line(&sample);
        }
        let metric = sample.metric.clone();
        let size = self.out.size();
        let share = Size {
            height: size.height.map(|height| height / self.metrics.max(1)),
            ..size
        };
        let before = self.before.get(&metric);
        let block = table::sample(&sample, before, share);
        if sample.data.is_some() {
            self.before.insert(metric.clone(), sample);
        }
        if self.redraws() {
            self.blocks.insert(metric, block);
            let blocks: Vec<&str> = self.blocks.values().map(String::as_str).collect();
            return self.out.redraw(&blocks.join("\n"));
        }
        writeln!(self.out, "{block}\n")?;
        self.out.flush()?;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        if self.redraws() {
            writeln!(self.out)?;
        }
        self.out.flush()?;
        Ok(())
    }
}
