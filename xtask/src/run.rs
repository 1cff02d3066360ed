//! Builds the agent with the release profile, and runs it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{command, workspace};

/// Builds the agent with the release profile.
///
/// Needs neither LLVM nor rust-src: the eBPF object is committed. Takes about 2
/// minutes on two CPUs the first time.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Build {}

/// Builds the agent, and runs it as root.
///
/// Uses sudo if the user is not root. Takes as long as `build`, then runs until it is
/// interrupted.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Run {
    /// The arguments of the agent [default: run]
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

impl Build {
    /// Builds the agent, and prints its path.
    ///
    /// # Errors
    /// When the build fails.
    pub(crate) fn run() -> Result<()> {
        println!("{}", workspace::show(&build()?));
        Ok(())
    }
}

impl Run {
    /// Builds the agent, and replaces this process by it, so that it receives the signals.
    ///
    /// # Errors
    /// When the build fails, or the agent cannot be started.
    pub(crate) fn run(self) -> Result<()> {
        let agent = build()?;
        let mut command = if command::is_root() {
            Command::new(&agent)
        } else if command::which("sudo").is_some() {
            let mut sudo = Command::new("sudo");
            sudo.arg(&agent);
            sudo
        } else {
            bail!("the agent needs root, and sudo is not installed: run this task as root");
        };
        if self.arguments.is_empty() {
            command.arg("run");
        } else {
            command.args(self.arguments);
        }
        // Returns only on failure.
        let error = command.exec();
        Err(error).with_context(|| format!("cannot start `{}`", command::show(&command)))
    }
}

fn build() -> Result<PathBuf> {
    command::run(command::cargo().args([
        "build",
        "--locked",
        "--release",
        "--package",
        "collector",
    ]))?;
    Ok(workspace::target().join("release/collector"))
}
