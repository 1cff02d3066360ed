//! Static checks of the source.

use std::process::Command;

use anyhow::Result;

use crate::steps::{Outcome, Steps};
use crate::tally::Tally;
use crate::{command, ebpf, imports};

/// Checks the format, the lints, the documentation and the dependencies.
///
/// Lints the eBPF programs if rust-src is installed, and checks the licences of the
/// dependencies if cargo-deny is. Takes about 2 minutes the first time, and seconds
/// after that.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Lint {}

impl Lint {
    /// Runs each check.
    ///
    /// # Errors
    /// When one fails.
    pub(crate) fn run() -> Result<()> {
        let mut steps = Steps::default();
        lint(&mut steps);
        steps.finish()
    }
}

/// Runs the checks as steps of a longer task.
pub(crate) fn lint(steps: &mut Steps) {
    steps.check("format", || {
        command::run(command::cargo().args(["fmt", "--all", "--check"]))
    });
    steps.check("imports", imports::check);
    steps.check("clippy", || {
        command::run(command::cargo().args([
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "--deny=warnings",
        ]))
    });
    steps.check("each feature of the library alone", || {
        for feature in ["", "config", "prometheus"] {
            command::run(command::cargo().args([
                "clippy",
                "--locked",
                "--package",
                "collector",
                "--lib",
                "--no-default-features",
                "--features",
                feature,
                "--",
                "--deny=warnings",
            ]))?;
        }
        Ok(())
    });
    steps.step("clippy of the programs", || {
        if let Err(error) = ebpf::check_tools() {
            return Ok(Outcome::NotRun(error.to_string()));
        }
        ebpf::clippy()?;
        Ok(Outcome::Ran(Tally::PASSED, String::new()))
    });
    steps.check("documentation", || {
        command::run(
            command::cargo()
                .env("RUSTDOCFLAGS", "--deny=warnings")
                .args(["doc", "--locked", "--workspace", "--no-deps"]),
        )
    });
    steps.step("dependencies", || {
        let Some(deny) = command::which("cargo-deny") else {
            return Ok(Outcome::NotRun(
                "cargo-deny is not installed: run `cargo xtask setup --for test`".to_owned(),
            ));
        };
        // Advisories are not checked: they change independently of the source, and
        // need a download.
        command::run(
            Command::new(deny)
                .current_dir(crate::workspace::root())
                .args([
                    "--offline",
                    "--locked",
                    "check",
                    "--hide-inclusion-graph",
                    "bans",
                    "licenses",
                    "sources",
                ]),
        )?;
        Ok(Outcome::Ran(Tally::PASSED, String::new()))
    });
}
