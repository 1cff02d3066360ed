//! The command line.

mod args;
mod config;
mod doctor;
mod error;
mod events;
mod log;
mod mode_cost;
mod modes;
mod object;
mod output;
mod run;
mod snapshot;
mod start;
mod status;
mod stop;
mod table;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};
use error::Failure;

/// Parses the command line and runs the subcommand.
pub(super) fn main() -> ExitCode {
    collector::allocator::use_one_arena();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return error::usage(&error),
    };
    let code = match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => failure.exit(),
    };
    log::flush();
    code
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    let global = cli.global;
    // These work with an invalid configuration, too.
    match &cli.command {
        Command::Config { command } => return config::config(&global, command),
        Command::Doctor(args) => return doctor::doctor(&global, args.format),
        _ => {}
    }
    let config = config::effective(&global)?;
    let start = start::Start::new(config, &global, matches!(cli.command, Command::Run))?;
    match cli.command {
        Command::Run => run::run(&start),
        Command::Snapshot(args) => snapshot::snapshot(&start, &args),
        Command::Watch(args) => watch::watch(&start, &args),
        Command::Events(args) => events::events(&start, &args),
        Command::Status(args) if args.modes => {
            modes::modes(&start, args.duration.duration(), args.format.format)
        }
        Command::Status(args) => status::status(&start, args.format.format),
        Command::Config { .. } | Command::Doctor(_) => Ok(ExitCode::SUCCESS),
    }
}
