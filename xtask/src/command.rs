//! Runs other programs.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::tally::Tally;
use crate::workspace;

/// The cargo that runs this task, so that the toolchain stays the same.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    // Cargo sets these for this task; inherited, they would cause rebuilds.
    command.env("PATH", path());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// The compiler that cargo uses.
pub(crate) fn rustc() -> Command {
    let mut command = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(workspace::root());
    command
}

/// Runs `command` with its output shown, without standard input.
///
/// # Errors
/// When it cannot be started, or its exit status is not success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    command.stdin(Stdio::null());
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", show(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", show(command));
    }
    Ok(())
}

/// Runs `command` and returns what it wrote to standard output, trimmed.
///
/// # Errors
/// When it cannot be started, or its exit status is not success, with its standard
/// error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", show(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` failed: {}\n{}",
            show(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs tests, and counts them by the last line of each test harness.
///
/// # Errors
/// When they cannot be started. A failed test is counted, and is not an error.
pub(crate) fn run_tests(command: &mut Command) -> Result<Tally> {
    println!("running `{}`", show(command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", show(command)))?;
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.with_context(|| format!("cannot read from `{}`", show(command)))?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            tally.read(&line);
        }
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        println!("error: {status}");
        tally.failed = 1;
    }
    Ok(tally)
}

/// The program and its arguments, as typed in a shell.
pub(crate) fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let words: Vec<&OsStr> = program
        .file_name()
        .into_iter()
        .chain(command.get_args())
        .collect();
    words.join(OsStr::new(" ")).to_string_lossy().into_owned()
}

/// The path of `program` on `PATH` or in cargo's `bin` directory.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    env::split_paths(&path())
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// `PATH` and the directory of `cargo install`.
fn path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = workspace::cargo_home().map(|home| home.join("bin"));
    let folders = env::split_paths(&path).chain(installed);
    env::join_paths(folders).unwrap_or(path)
}

/// Whether the effective user is root.
pub(crate) fn is_root() -> bool {
    // The owner of /proc/self is the effective user.
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
