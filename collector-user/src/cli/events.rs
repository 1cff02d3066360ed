use std::{io::Write as _, num::NonZeroUsize, process::ExitCode};

use collector::{
    bus::{Delivery, SubscribeOptions},
    metric::{MetricInfo, ProcessEvent, Reading, Status},
};

use super::{
    args::{EventsArgs, Format},
    error::{Failure, complain},
    output::Output,
    start::{self, Start, StopSignals},
    table,
};

const METRIC: &MetricInfo = &ProcessEvent::METRIC;

/// How many events may wait to be printed. At 100 bytes each this is below a
/// megabyte, and a second of a thousand processes each.
const WAITING: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8191);

/// Processes that begin, execute another program, or end.
pub(super) fn events(start: &Start, args: &EventsArgs) -> Result<ExitCode, Failure> {
    start.metrics(&[METRIC.name.to_owned()])?;
    start::block_on(async {
        let mut stop = StopSignals::listen()?;
        let agent = start.agent()?;
        let options = SubscribeOptions {
            interval: None,
            delivery: Delivery::Queue(WAITING),
        };
        let subscription = agent.bus().subscribe::<ProcessEvent>(options);
        let mut subscription = subscription.map_err(Failure::failed)?;
        let end = args
            .duration
            .map(|duration| tokio::time::Instant::now() + duration.duration());
        let mut out = Output::new();
        if args.output.format == Format::Table {
            writeln!(out, "{}", table::EVENTS_HEADER)?;
            out.flush()?;
        }
        let mut missed = 0;
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
            let Some(sample) = sample else { break };
            missed += sample.missed;
            match args.output.format {
                Format::Json => out.json_line(&sample)?,
                Format::Table => {
                    match (&sample.data, &sample.status) {
                        (Some(event), _) => writeln!(out, "{}", table::event(event, out.size()))?,
                        (None, Status::Unavailable { reason, .. }) => {
                            complain(&format!("no events: {reason}"));
                        }
                        (None, _) => {}
                    }
                    out.flush()?;
                }
            }
        }
        out.flush()?;
        agent.stop().await;
        if missed > 0 {
            complain(&format!(
                "{missed} events were missed: they came faster than they were shown"
            ));
        }
        Ok(ExitCode::SUCCESS)
    })
}
