//! `doctor`: what works on this host, what does not, why, and how to fix it.

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
use check::{Check, CheckStatus, Verdict};

/// What is examined.
struct Examined {
    backend: BackendChoice,
    sources: Sources,
    /// The configuration in force, or why it is invalid.
    config: Result<Config, Failure>,
}

impl Examined {
    /// Whether the root is `/`, not a captured tree.
    fn is_live(&self) -> bool {
        self.sources.is_live()
    }

    /// Whether the eBPF backend may be used.
    fn wants_ebpf(&self) -> bool {
        self.is_live() && self.backend != BackendChoice::Procfs
    }

    /// A file below the root, without surrounding white space.
    fn read(&self, path: &str) -> Result<String, SourceError> {
        let content = self.sources.tick().read(path)?;
        Ok(String::from_utf8_lossy(content.trim_ascii()).into_owned())
    }
}

/// The timeout of a group of checks. One that hangs must not block the others.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The timeout of loading the programs, which is slow on an emulated CPU.
const LOAD_TIMEOUT: Duration = Duration::from_mins(2);

/// Runs a group of checks in a thread of its own, which is abandoned if it hangs.
fn within(
    timeout: Duration,
    name: &'static str,
    examined: &Arc<Examined>,
    checks: fn(&Examined) -> Vec<Check>,
) -> Vec<Check> {
    let (done, result) = mpsc::channel();
    let examined = Arc::clone(examined);
    let started = thread::Builder::new()
        .name("doctor".to_owned())
        .spawn(move || done.send(checks(&examined)));
    if let Err(error) = started {
        return vec![Check::failed(
            name,
            CheckStatus::Failed,
            format!("cannot start a thread: {error}"),
            "the agent needs threads, too",
            "raise RLIMIT_NPROC (ulimit -u) or pids.max of the cgroup",
        )];
    }
    result.recv_timeout(timeout).unwrap_or_else(|error| {
        let found = match error {
            RecvTimeoutError::Timeout => format!("no result within {} s", timeout.as_secs()),
            RecvTimeoutError::Disconnected => "the check panicked".to_owned(),
        };
        vec![Check::failed(
            name,
            CheckStatus::Failed,
            found,
            "a read hangs: in a network or FUSE file system, or in the kernel",
            "check what is mounted below /proc and /sys",
        )]
    })
}

pub(super) fn doctor(global: &GlobalArgs, format: Format) -> Result<ExitCode, Failure> {
    let config = config::effective(global);
    let backend = match &config {
        Ok(config) => config.backend.value,
        Err(_) => global.backend.unwrap_or_default(),
    };
    let examined = Examined {
        backend,
        sources: Sources::rooted(global.root.clone().unwrap_or_else(|| PathBuf::from("/"))),
        config,
    };
    let examined = Arc::new(examined);
    let mut checks = within(TIMEOUT, "host", &examined, host::checks);
    checks.extend(within(LOAD_TIMEOUT, "ebpf", &examined, ebpf::checks));
    checks.extend(within(TIMEOUT, "procfs", &examined, tree::checks));
    checks.extend(within(TIMEOUT, "service", &examined, service::checks));

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

/// A check that passed.
fn passed(name: impl Into<String>, found: impl Into<String>) -> Check {
    Check::new(name, CheckStatus::Ok, found)
}
