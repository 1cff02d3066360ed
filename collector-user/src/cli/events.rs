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

/// How many events may wait to be printed. At 100 bytes each this is below a
/// megabyte, and a second of a thousand processes each.
const WAITING: usize = 8192;

/// Processes that begin, execute another program, or end.
pub(super) fn events(start: &Start, args: &EventsArgs) -> Result<ExitCode, Failure> {
    start.metrics(&[METRIC.name.to_owned()])?;
    start::block_on(async {
        let mut stop = StopSignals::listen()?;
        let agent = start.agent()?;
        let options = SubscribeOptions::default().queue(WAITING);
        let subscription = agent.bus().subscribe::<ProcessEvent>(options);
        let mut subscription = subscription.map_err(Failure::failed)?;
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
        // Those that came in time are shown, also if they were not read in time.
        while let Ok(sample) = subscription.recv().await {
            list.show(&sample)?;
        }
        // What was lost after the last event that was shown, no sample tells.
        let missed = list.missed.max(lost);
        if missed > 0 {
            complain(&format!(
                "{missed} events were missed: they came faster than they were taken or shown"
            ));
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The events that were shown, one a line.
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
