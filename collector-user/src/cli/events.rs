use std::{io::Write as _, process::ExitCode};

use collector::{
    bus::SubscribeOptions,
    metric::{MetricInfo, ProcessEvent, Reading, Sample, Status},
};

use super::{
    args::{EventsArgs, Format},
    error::{Failure, complain},
    output::Output,
    start::{self, Start},
    stop::StopSignals,
    table,
};

const METRIC: &MetricInfo = &ProcessEvent::METRIC;

/// The length of the queue: less than a megabyte at 100 bytes an event.
const QUEUE_LENGTH: usize = 8192;

/// `events`: forks, execs and exits.
pub(super) fn events(start: &Start, args: &EventsArgs) -> Result<ExitCode, Failure> {
    start.metrics(&[METRIC.name.to_owned()])?;
    start::block_on(async {
        let mut stop = StopSignals::listen()?;
        let agent = start.agent()?;
        let options = SubscribeOptions::default().queue(QUEUE_LENGTH);
        let subscription = agent.bus().subscribe::<ProcessEvent>(options);
        let mut subscription = subscription?;
        let end = args
            .duration
            .map(|duration| tokio::time::Instant::now() + duration.duration());
        let mut list = List::begin(args.output.format)?;
        loop {
            let at_end = async {
                match end {
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            let sample = tokio::select! {
                biased;
                _ = stop.recv() => break,
                () = at_end => break,
                sample = subscription.recv() => sample,
            };
            match sample {
                Ok(sample) => list.show(&sample)?,
                Err(_) => break,
            }
        }
        let lost = agent.events_lost();
        agent.stop().await;
        // Events that are already in the queue are shown, too.
        while let Ok(sample) = subscription.recv().await {
            list.show(&sample)?;
        }
        // No sample counts the events that were lost after the last one.
        let missed = list.missed.max(lost);
        if missed > 0 {
            complain(&format!(
                "{missed} events were missed: they came faster than they could be read or shown"
            ));
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Shows events, one a line.
struct List {
    out: Output,
    format: Format,
    missed: u64,
}

impl List {
    fn begin(format: Format) -> Result<Self, Failure> {
        let mut out = Output::new();
        if format == Format::Table {
            writeln!(out, "{}", table::EVENTS_HEADER)?;
            out.flush()?;
        }
        Ok(Self {
            out,
            format,
            missed: 0,
        })
    }

    fn show(&mut self, sample: &Sample<ProcessEvent>) -> Result<(), Failure> {
        self.missed += sample.missed.total();
        if self.format == Format::Json {
            return self.out.json_line(sample);
        }
        if !sample.missed.is_none() {
            writeln!(self.out, "… {}", sample.missed)?;
            self.out.flush()?;
        }
        match (&sample.data, &sample.status) {
            (Some(event), _) => {
                let line = table::event(event, self.out.size());
                writeln!(self.out, "{line}")?;
                self.out.flush()?;
            }
            (None, Status::Unavailable { reason, .. }) => {
                complain(&format!("no events: {reason}"));
            }
            (None, _) => {}
        }
        Ok(())
    }
}
