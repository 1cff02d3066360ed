//! Builds the agent as it is shipped, and starts it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{command, workspace};

/// Builds the agent as it is shipped.
///
/// Needs neither LLVM nor rust-src: the eBPF object is committed. Takes about 2
/// minutes on two processors the first time.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Build {}

/// Builds the agent, then runs it with the rights that it needs.
///
/// Through sudo where this is not root. Takes as long as `build`, and then runs
/// until it is told to stop.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Run {
    /// What the agent is to do [default: run]
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

impl Build {
    /// Builds, and says where the agent is.
    ///
    /// # Errors
    /// When the build fails.
    pub(crate) fn run() -> Result<()> {
        println!("{}", workspace::show(&build()?));
        Ok(())
    }
}

impl Run {
    /// Builds, and becomes the agent, which so gets the signals itself.
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
            bail!("the agent needs root, and there is no sudo: run this task as root");
        };
        if self.arguments.is_empty() {
            command.arg("run");
        } else {
            command.args(self.arguments);
        }
        // It returns only if it fails.
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
