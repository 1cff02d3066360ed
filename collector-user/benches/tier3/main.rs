//! The cost of accounting in the kernel, compared with reading `/proc` and with
//! other programs.
//!
//! `cargo xtask bench tier3 [--quick] [--json FILE] [PART…]`, as root.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot go on has nothing better to do than to stop"
)]

mod agent;
mod cpu_times;
mod layouts;
mod machine;
mod memory;
mod peers;
mod pid_max;
mod population;
mod process;
mod report;
mod run;
mod scrape;
mod scrapes;
mod switch;
mod terminal;
mod tick;
mod tool;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Instant, SystemTime},
};

use clap::Parser;
use collector::{
    collectors::ebpf::Accountant,
    source::bpf::{LoadError, LoadOptions},
};

use report::Report;
use run::{Failure, PartOf, Run};

/// All parts, in the order in which they run.
const PARTS: [(&str, PartOf); 7] = [
    ("tick", tick::run),
    ("cpu_times", cpu_times::run),
    ("switch", switch::run),
    ("layouts", layouts::run),
    ("memory", memory::run),
    ("scrapes", scrapes::run),
    ("peers", peers::run),
];

/// Measures tier 3 on this machine.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these parts
    #[arg(value_name = "PART", value_parser = PARTS.map(|(name, _run)| name))]
    parts: Vec<String>,
    /// Fewer rounds and smaller populations
    #[arg(long)]
    quick: bool,
    /// Write the figures to FILE, and a page made from them beside it
    #[arg(long, value_name = "FILE", conflicts_with = "report")]
    json: Option<PathBuf>,
    /// Measure nothing: make docs/performance.md from docs/performance.json
    #[arg(long)]
    report: bool,
    /// `cargo bench` passes it; `cargo test` runs no benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, idle, active] = &words[..]
        && word == population::WORD
    {
        population::main(idle, active);
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let result = if arguments.report {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.json");
        read(&kept).and_then(|report| write_page(&report, &kept))
    } else if arguments.bench {
        measure(&arguments)
    } else {
        println!("run this with `cargo bench`");
        Ok(())
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let machine = machine::describe();
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let mut report = Report {
        date,
        quick: arguments.quick,
        machine,
        parts: Vec::new(),
    };
    let mut failed = Vec::new();
    for (name, part) in PARTS {
        if !arguments.parts.is_empty() && !arguments.parts.iter().any(|each| each == name) {
            continue;
        }
        let run = Run::begin(name, arguments.quick);
        let start = Instant::now();
        match part(&run) {
            Ok(mut part) => {
                name.clone_into(&mut part.name);
                part.seconds = start.elapsed().as_secs_f64().round();
                terminal::print(&part);
                report.parts.push(part);
            }
            Err(error) => {
                run.say(&format!("failed: {error}"));
                failed.push(name);
            }
        }
    }
    if let Some(path) = &arguments.json {
        fs::write(path, serde_json::to_string_pretty(&report)? + "\n")?;
        write_page(&report, path)?;
    }
    match &failed[..] {
        [] => Ok(()),
        failed => Err(format!("these parts failed: {}", failed.join(", ")).into()),
    }
}

fn read(path: &Path) -> Result<Report, Failure> {
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

/// Writes the page that is generated from a report, beside its JSON.
fn write_page(report: &Report, json: &Path) -> Result<(), Failure> {
    Ok(fs::write(json.with_extension("md"), report::page(report))?)
}

/// The programs, loaded into this process.
fn load() -> Result<Accountant, LoadError> {
    Accountant::load(&LoadOptions::default())
}
