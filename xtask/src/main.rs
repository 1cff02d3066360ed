//! Builds, runs, tests and benchmarks `collector`: `cargo xtask --help`.

mod apt;
mod architecture;
mod bench;
mod command;
mod ebpf;
mod generate;
mod imports;
mod lint;
mod noise;
mod recipe;
mod retry;
mod run;
mod setup;
mod steps;
mod suite;
mod tally;
mod test;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, runs, tests and benchmarks collector.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Setup(setup::Setup),
    BuildEbpf(ebpf::BuildEbpf),
    Build(run::Build),
    Run(run::Run),
    Test(test::Test),
    TestVm(vm::TestVm),
    Bench(bench::Bench),
    Lint(lint::Lint),
    Generate(generate::Generate),
    Recipe(recipe::Recipe),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Setup(task) => task.run(),
        Task::BuildEbpf(task) => task.run(),
        Task::Build(run::Build {}) => run::Build::run(),
        Task::Run(task) => task.run(),
        Task::Test(task) => task.run(),
        Task::TestVm(task) => task.run(),
        Task::Bench(task) => task.run(),
        Task::Lint(lint::Lint {}) => lint::Lint::run(),
        Task::Generate(generate::Generate {}) => generate::Generate::run(),
        Task::Recipe(recipe::Recipe {}) => recipe::Recipe::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
