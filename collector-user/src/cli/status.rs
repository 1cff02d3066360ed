use std::{io::Write as _, process::ExitCode};

use collector::bus::SnapshotRequest;
use serde_json::json;

use super::{
    args::Format,
    error::Failure,
    output::Output,
    start::{self, Start},
    table,
};

/// `status`: collects every metric once, and shows the cost.
pub(super) fn status(start: &Start, format: Format) -> Result<ExitCode, Failure> {
    start::block_on(async {
        let agent = start.agent()?;
        let request = SnapshotRequest::default();
        agent.bus().snapshot(request).await?;
        let status = agent.bus().status();
        let mut out = Output::new();
        match format {
            Format::Json => out.json_line(&json!({ "agent": agent.report(), "bus": status }))?,
            Format::Table => {
                write!(out, "{}", table::report(agent.report(), out.line_size()))?;
                writeln!(out, "\n{}", table::status(&status, out.line_size()))?;
            }
        }
        out.flush()?;
        agent.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}
