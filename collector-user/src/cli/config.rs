use std::{io::Write as _, process::ExitCode};

use collector::config::{Config, DEFAULT_PATH, LogFilter, Origin};

use super::{
    args::{ConfigCommand, GlobalArgs},
    error::{Failure, complain},
    log,
    output::Output,
};

/// `config check` and `config show`.
pub(super) fn config(global: &GlobalArgs, command: &ConfigCommand) -> Result<ExitCode, Failure> {
    let config = effective(global)?;
    let mut out = Output::new();
    match command {
        ConfigCommand::Show => write!(out, "{config}")?,
        ConfigCommand::Check => {
            match &config.file {
                Some(file) => writeln!(out, "{} is valid.", file.display())?,
                None => writeln!(
                    out,
                    "{DEFAULT_PATH} does not exist: the defaults are in force."
                )?,
            }
            for warning in config.warnings() {
                complain(&warning);
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The configuration in force: the file, overridden by the environment and the command
/// line.
pub(super) fn effective(global: &GlobalArgs) -> Result<Config, Failure> {
    let mut config = Config::load(global.config.as_deref())?;
    let filter = match std::env::var(log::VARIABLE) {
        Ok(filter) if filter.trim().is_empty() => None,
        Ok(filter) => Some(Some(parsed_filter(&filter)?)),
        Err(std::env::VarError::NotPresent) => None,
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err(Failure::FilterNotUtf8);
        }
    };
    let environment = Origin::Environment(log::VARIABLE);
    config.log.filter.override_with(filter, environment);
    let option = Origin::Option("--log-format");
    config.log.format.override_with(global.log_format, option);
    config
        .backend
        .override_with(global.backend, Origin::Option("--backend"));
    Ok(config)
}

fn parsed_filter(text: &str) -> Result<LogFilter, Failure> {
    text.parse().map_err(Failure::Filter)
}
