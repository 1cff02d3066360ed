//! What works on this host, what does not, why, and what would mend it.

mod check;
mod ebpf;
mod host;
mod service;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use collector::{agent::BackendChoice, config::Config};
use serde_json::json;

use super::{
    args::{Format, GlobalArgs},
    config,
    error::Failure,
    output::Output,
};
use check::{Check, State, Verdict};

/// What is checked, and for whom.
struct Patient {
    backend: BackendChoice,
    root: PathBuf,
    /// What is wrong with the configuration, or the configuration.
    config: Result<Config, String>,
}

impl Patient {
    /// Whether the running kernel is looked at, and not a captured tree.
    fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Whether eBPF is to be had at all.
    fn wants_ebpf(&self) -> bool {
        self.is_live() && self.backend != BackendChoice::Procfs
    }

    /// A file of the tree that is looked at, without the space around it.
    fn read(&self, path: &str) -> std::io::Result<String> {
        let path = self.root.join(path.trim_start_matches('/'));
        Ok(std::fs::read_to_string(path)?.trim().to_owned())
    }
}

pub(super) fn doctor(global: &GlobalArgs, format: Format) -> Result<ExitCode, Failure> {
    let config = match config::effective(global) {
        Ok(config) => Ok(config),
        Err(Failure::Usage(problem)) => Err(problem),
        Err(other) => return Err(other),
    };
    let backend = match &config {
        Ok(config) => config.backend.value,
        Err(_) => global.backend.unwrap_or_default(),
    };
    let patient = Patient {
        backend,
        root: global.root.clone().unwrap_or_else(|| PathBuf::from("/")),
        config,
    };
    let mut checks = host::checks(&patient);
    checks.extend(ebpf::checks(&patient));
    checks.push(host::procfs(&patient));
    checks.extend(service::checks(&patient));

    let verdict = Verdict::of(&checks);
    let mut out = Output::new();
    match format {
        Format::Json => out.json_line(&json!({
            "verdict": verdict,
            "exit_status": verdict.exit_status(),
            "checks": checks,
        }))?,
        Format::Table => {
            let width = checks.iter().map(|check| check.name.len()).max();
            for check in &checks {
                write!(out, "{}", check.lines(width.unwrap_or(0)))?;
            }
            writeln!(out, "\n{}", verdict.sentence())?;
        }
    }
    out.flush()?;
    Ok(ExitCode::from(verdict.exit_status()))
}

/// A check that found nothing wrong.
fn fine(name: impl Into<String>, found: impl Into<String>) -> Check {
    Check::new(name, State::Ok, found)
}
