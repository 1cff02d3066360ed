//! What works on this host, what does not, why, and what would mend it.

mod check;
mod ebpf;
mod host;
mod service;
mod tree;

use std::{
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use collector::{
    agent::BackendChoice,
    config::Config,
    source::{SourceError, Sources},
};
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
    sources: Sources,
    /// What is wrong with the configuration, or the configuration.
    config: Result<Config, String>,
}

impl Patient {
    /// Whether the running kernel is looked at, and not a captured tree.
    fn is_live(&self) -> bool {
        self.sources.is_live()
    }

    /// Whether eBPF is to be had at all.
    fn wants_ebpf(&self) -> bool {
        self.is_live() && self.backend != BackendChoice::Procfs
    }

    /// A file of the tree that is looked at, without the space around it.
    fn read(&self, path: &str) -> Result<String, SourceError> {
        let content = self.sources.tick().read(path)?;
        Ok(String::from_utf8_lossy(content.trim_ascii()).into_owned())
    }
}

/// How long a group of checks may take: what hangs must not keep the others
/// from being told.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same for loading the programs, which takes an emulated CPU long.
const PATIENCE_WITH_LOADING: Duration = Duration::from_mins(2);

/// Does a group of checks in a thread of its own, that is left behind if it
/// hangs.
fn within(
    patience: Duration,
    name: &'static str,
    patient: &Arc<Patient>,
    checks: fn(&Patient) -> Vec<Check>,
) -> Vec<Check> {
    let (done, result) = mpsc::channel();
    let patient = Arc::clone(patient);
    let started = thread::Builder::new()
        .name("doctor".to_owned())
        .spawn(move || done.send(checks(&patient)));
    if let Err(error) = started {
        return vec![Check::wrong(
            name,
            State::Failed,
            format!("cannot start a thread: {error}"),
            "the agent needs threads too",
            "raise the limit of processes (ulimit -u, or pids.max of the cgroup)",
        )];
    }
    result.recv_timeout(patience).unwrap_or_else(|error| {
        let found = match error {
            RecvTimeoutError::Timeout => format!("no answer within {} s", patience.as_secs()),
            RecvTimeoutError::Disconnected => "the check panicked".to_owned(),
        };
        vec![Check::wrong(
            name,
            State::Failed,
            found,
            "what is read there does not answer: a file system of the network or of a user, or \
             the kernel",
            "see what is mounted there",
        )]
    })
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
        sources: Sources::rooted(global.root.clone().unwrap_or_else(|| PathBuf::from("/"))),
        config,
    };
    let patient = Arc::new(patient);
    let mut checks = within(PATIENCE, "host", &patient, host::checks);
    checks.extend(within(
        PATIENCE_WITH_LOADING,
        "ebpf",
        &patient,
        ebpf::checks,
    ));
    checks.extend(within(PATIENCE, "procfs", &patient, tree::checks));
    checks.extend(within(PATIENCE, "service", &patient, service::checks));

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
