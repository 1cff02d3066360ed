use std::fmt::{Result, Write as _};

use super::{Column, Figure, Part, Report, Table, Unit, Verdict};

/// `docs/performance.md`.
pub(crate) fn page(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut page, report);
    page
}

fn write(page: &mut String, report: &Report) -> Result {
    page.push_str(
        "# Performance of tier 3\n\n\
         Made from [performance.json](performance.json) by \
         `cargo xtask bench tier3 --report`; do not edit it here.\n\n\
         To measure again, as root, on a machine that does nothing else:\n\n\
         ```sh\n\
         cargo xtask setup --for bench\n\
         cargo xtask bench tier3 --json docs/performance.json\n\
         ```\n\n",
    );
    if report.quick {
        page.push_str(
            "**This was a quick run** (`--quick`), with few rounds and small populations: its \
             figures show that the benchmark works.\n\n",
        );
    }
    machine(page, report)?;
    aims(page, &report.parts)?;
    for part in &report.parts {
        write!(page, "\n## {}\n\n{}\n", part.title, part.about)?;
        figures(page, &part.figures)?;
        for each in &part.tables {
            table(page, each)?;
        }
        if !part.notes.is_empty() {
            page.push('\n');
        }
        for note in &part.notes {
            writeln!(page, "- {note}")?;
        }
    }
    Ok(())
}

fn machine(page: &mut String, report: &Report) -> Result {
    let unknown = || "unknown".to_owned();
    let machine = &report.machine;
    page.push_str("| | |\n|---|---|\n");
    let mut row = |name: &str, value: Option<String>| {
        writeln!(page, "| {name} | {} |", value.unwrap_or_else(unknown))
    };
    row("date", Some(report.date.clone()))?;
    row("CPU", machine.cpu_model.clone())?;
    row("CPUs", machine.cpus.map(|cpus| cpus.to_string()))?;
    row(
        "memory",
        machine
            .memory_bytes
            .map(|bytes| format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64)),
    )?;
    row(
        "virtual machine",
        machine
            .virtualised
            .map(|is| if is { "yes" } else { "no" }.to_owned()),
    )?;
    row("kernel", machine.kernel.clone())?;
    row("timer interrupts (HZ)", machine.hz.map(|hz| hz.to_string()))?;
    row("clock source", machine.clock_source.clone())?;
    row(
        "load average before",
        machine.load_before.map(|load| format!("{load:.2}")),
    )
}

/// All figures that have an aim, and why some miss it.
fn aims(page: &mut String, parts: &[Part]) -> Result {
    let with_aims = || {
        parts
            .iter()
            .flat_map(|part| part.figures.iter().map(move |figure| (part, figure)))
            .filter_map(|(part, figure)| Some((part, figure, figure.aim?, figure.verdict()?)))
    };
    if with_aims().next().is_none() {
        return Ok(());
    }
    page.push_str(
        "\n## Aims\n\n| part | figure | aim | measured | from … to | |\n|---|---|---|---|---|---|\n",
    );
    for (part, figure, aim, verdict) in with_aims() {
        let (median, range) = measured(figure);
        let word = match verdict {
            Verdict::Met => verdict.word().to_owned(),
            Verdict::Missed | Verdict::NotMeasured => format!("**{}**", verdict.word()),
        };
        writeln!(
            page,
            "| {} | {} | {} | {median} | {range} | {word} |",
            part.name,
            figure.name,
            aim.show(figure.unit)
        )?;
    }
    let mut heading = "\nWhy:\n\n";
    for (_part, figure, _aim, verdict) in with_aims() {
        if verdict != Verdict::Met {
            let reason = figure.reason.as_deref().unwrap_or("not known");
            writeln!(page, "{heading}- **{}**: {reason}", figure.name)?;
            heading = "";
        }
    }
    Ok(())
}

fn figures(page: &mut String, figures: &[Figure]) -> Result {
    if figures.is_empty() {
        return Ok(());
    }
    page.push_str("\n| figure | median | from … to | samples |\n|---|---|---|---|\n");
    for figure in figures {
        let (median, range) = measured(figure);
        let samples = figure.measured.map(|spread| spread.samples.to_string());
        writeln!(
            page,
            "| {} | {median} | {range} | {} |",
            figure.name,
            samples.unwrap_or_default()
        )?;
    }
    Ok(())
}

/// The median and the range of a figure.
fn measured(figure: &Figure) -> (String, String) {
    match figure.measured {
        None => ("not measured".to_owned(), String::new()),
        Some(spread) if spread.samples == 1 => (figure.unit.show(spread.median), String::new()),
        Some(spread) => (
            figure.unit.show(spread.median),
            format!(
                "{} … {}",
                figure.unit.number(spread.min),
                figure.unit.number(spread.max)
            ),
        ),
    }
}

fn table(page: &mut String, table: &Table) -> Result {
    writeln!(page, "\n### {}\n", table.title)?;
    let headings: Vec<String> = table.columns.iter().map(Column::heading).collect();
    let rules: Vec<&str> = table
        .columns
        .iter()
        .map(|column| match column.unit {
            Unit::Text => "---",
            _ => "---:",
        })
        .collect();
    writeln!(page, "| {} |\n|{}|", headings.join(" | "), rules.join("|"))?;
    for row in &table.rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&table.columns)
            .map(|(cell, column)| cell.show(column.unit).replace('|', "\\|"))
            .collect();
        writeln!(page, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}
