use std::{io::Write as _, process::ExitCode};

use collector::bus::SnapshotRequest;

use super::{
    args::{Format, SnapshotArgs},
    error::Failure,
    output::Output,
    start::{self, Start},
    table,
};

/// `snapshot`: every metric once.
pub(super) fn snapshot(start: &Start, args: &SnapshotArgs) -> Result<ExitCode, Failure> {
    let names = match &args.metrics {
        None => None,
        Some(names) => {
            let metrics = start.metrics(names)?;
            Some(
                metrics
                    .iter()
                    .map(|metric| metric.name.to_owned())
                    .collect(),
            )
        }
    };
    start::block_on(async {
        let agent = start.agent()?;
        let request = SnapshotRequest {
            metrics: names,
            ..SnapshotRequest::default()
        };
        let snapshot = agent.bus().snapshot(request).await?;
        let mut out = Output::new();
        match args.output.format {
            Format::Json => out.json_line(&snapshot)?,
            Format::Table => {
                let size = output_size(&out);
                for (nth, sample) in snapshot.metrics.values().enumerate() {
                    if nth > 0 {
                        writeln!(out)?;
                    }
                    let block = table::sample(sample, None, size);
                    writeln!(out, "{block}")?;
                }
            }
        }
        out.flush()?;
        agent.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// A snapshot scrolls, so that only its width is limited.
fn output_size(out: &Output) -> super::output::Size {
    super::output::Size {
        height: None,
        ..out.size()
    }
}
