//! A background load for tests: what other programs of a busy host do.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::command;
use crate::steps::Outcome;
use crate::tally::Tally;

/// Runs tests beside the load generator `program`.
///
/// # Errors
/// Those of the tests, and when the load generator failed or exited early.
pub(crate) fn beside(program: &Path, tests: impl FnOnce() -> Result<Tally>) -> Result<Outcome> {
    let noise = Noise::start(program)?;
    let tally = tests();
    let summary = noise.stop();
    if let Ok(text) = &summary {
        println!("{text}");
    }
    let tally = tally?;
    match summary {
        Ok(text) => Ok(Outcome::Ran(tally, format!("beside {text}"))),
        // Must not hide that tests failed.
        Err(error) if tally.failed > 0 => {
            println!("error: {error:#}");
            Ok(Outcome::Ran(tally, String::new()))
        }
        Err(error) => Err(error),
    }
}

/// A load generator, which runs until its standard input is closed.
#[derive(Debug)]
struct Noise {
    child: Child,
}

impl Noise {
    fn start(program: &Path) -> Result<Self> {
        let mut noise = Command::new(program);
        let child = noise
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{}`", command::show(&noise)))?;
        Ok(Self { child })
    }

    /// Stops it, and returns its summary.
    ///
    /// # Errors
    /// When it has exited already, or reports too little load.
    fn stop(mut self) -> Result<String> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "the load generator exited before the tests: {status}: {}",
                self.output()?
            );
        }
        drop(self.child.stdin.take());
        let output = self.output()?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the load generator failed: {status}: {output}");
        }
        Ok(output)
    }

    fn output(&mut self) -> Result<String> {
        let mut output = String::new();
        let mut pipe = self
            .child
            .stdout
            .take()
            .context("the load generator has no standard output")?;
        pipe.read_to_string(&mut output)?;
        Ok(output.trim_end().replace('\n', "; "))
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        // If it still runs, it now cleans up and exits.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Outcome, Tally, beside};

    /// Runs a step beside a shell script.
    fn step(script: &str, tally: Tally) -> Result<(Tally, String), String> {
        let name = format!("xtask-noise-{}-{script}", std::process::id()).replace(' ', "-");
        let path = std::env::temp_dir().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        let outcome = beside(&path, || {
            std::thread::sleep(std::time::Duration::from_millis(300));
            Ok(tally)
        });
        fs::remove_file(&path).unwrap();
        match outcome.map_err(|error| format!("{error:#}"))? {
            Outcome::Ran(tally, note) => Ok((tally, note)),
            Outcome::NotRun(reason) => Err(reason),
        }
    }

    #[test]
    fn the_summary_of_the_load_is_part_of_the_outcome() {
        let (tally, note) = step("read end; echo noise: 7 forks", Tally::PASSED).unwrap();
        assert_eq!(tally, Tally::PASSED);
        assert_eq!(note, "beside noise: 7 forks");
    }

    #[test]
    fn a_load_generator_that_fails_or_exits_early_fails_the_step() {
        let error = step("read end; echo too few; false", Tally::PASSED).unwrap_err();
        assert!(error.contains("too few"), "{error}");
        let error = step("echo bye", Tally::PASSED).unwrap_err();
        assert!(error.contains("before the tests"), "{error}");
    }

    #[test]
    fn a_failed_test_is_counted_whatever_the_load_generator_did() {
        let (tally, _note) = step("exit 1", Tally::FAILED).unwrap();
        assert_eq!(tally, Tally::FAILED);
    }
}
