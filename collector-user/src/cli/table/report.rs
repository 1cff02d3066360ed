use std::fmt::Write as _;

use collector::{agent::StartReport, metric::Backend, source::bpf::ProgramState, text::harmless};

use super::{Grid, Side};
use crate::cli::output::Size;

/// What is attached, what fell back and why, and what is collected; with a line
/// break at the end.
pub(in crate::cli) fn report(report: &StartReport, size: Size) -> String {
    let mut text = String::new();
    if let Some(ebpf) = &report.ebpf {
        let mut grid = Grid::new(&[("PROGRAM", Side::Left), ("FEEDS", Side::Left)]);
        let mut off = Vec::new();
        for program in &ebpf.programs {
            match &program.state {
                ProgramState::Attached => {
                    grid.add([program.hook.clone(), program.feeds.to_owned()]);
                }
                ProgramState::Unneeded { .. } => {}
                ProgramState::Off { reason, .. } => {
                    off.push((&program.hook, program.feeds, reason));
                }
            }
        }
        let _ = writeln!(text, "{}", grid.render(size));
        for (hook, feeds, reason) in off {
            let reason = harmless(reason);
            let _ = writeln!(text, "not attached: {hook}, so no {feeds}: {reason}");
        }
        for missing in &ebpf.missing_fields {
            let (field, feeds) = (&missing.field, missing.feeds);
            let _ = writeln!(text, "this kernel has no {field}, so no {feeds}");
        }
        text.push('\n');
    }
    if let Some(reason) = &report.fallback {
        let reason = harmless(reason);
        let _ = writeln!(text, "fell back to procfs: {reason}\n");
    }
    let mut grid = Grid::new(&[
        ("METRIC", Side::Left),
        ("TIER", Side::Right),
        ("BACKEND", Side::Left),
        ("READS", Side::Left),
    ]);
    for row in &report.metrics {
        grid.add([
            row.metric.name.to_owned(),
            (row.metric.tier as u8).to_string(),
            row.backend
                .as_ref()
                .map_or_else(|| "none".to_owned(), Backend::to_string),
            match &row.absent {
                Some(reason) => reason.clone(),
                None => row.sources.join(" "),
            },
        ]);
    }
    text.push_str(&grid.render(size));
    text.push('\n');
    text
}
