//! Builds, loads, tests and measures `collector`: `cargo xtask --help`.

mod command;
mod ebpf;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, loads, tests and measures collector.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    BuildEbpf(ebpf::BuildEbpf),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::BuildEbpf(task) => task.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
