//! Other programs that the benchmark starts.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::run::Failure;

/// The variable with the directory of programs that `cargo xtask bench` has
/// unpacked.
const TOOLS: &str = "COLLECTOR_BENCH_TOOLS";

/// The path of a program: in the directory of unpacked programs, or on `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::var_os(TOOLS)
        .map(PathBuf::from)
        .into_iter()
        .chain(env::split_paths(&path))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The message for a missing program.
pub(crate) fn absent(program: &str) -> String {
    format!("{program} is not installed: `cargo xtask setup --for bench`")
}

/// What a program writes to standard output and to standard error.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let path = find(program).ok_or_else(|| absent(program))?;
    let output = Command::new(path)
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{program}: {}: {}", output.status, text.trim()).into());
    }
    Ok(text.into_owned())
}

/// The number before or after a text in the output of a program.
pub(crate) fn number_before(text: &str, unit: &str) -> Option<f64> {
    let (before, _) = text.split_once(unit)?;
    before.split_whitespace().next_back()?.parse().ok()
}

pub(crate) fn number_after(text: &str, name: &str) -> Option<f64> {
    let (_, after) = text.split_once(name)?;
    after.split_whitespace().next()?.parse().ok()
}
