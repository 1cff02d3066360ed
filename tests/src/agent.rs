//! The agent as a separate process.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// The agent under test: `COLLECTOR_BIN`, else the one beside the running test.
///
/// # Errors
/// When neither exists, with the command that builds it.
pub fn agent() -> anyhow::Result<Command> {
    let path = if let Some(path) = env::var_os("COLLECTOR_BIN") {
        PathBuf::from(path)
    } else {
        // The test is target/debug/deps/NAME, the agent target/debug/collector.
        let test = env::current_exe()?;
        let folder = test.ancestors().nth(2).unwrap_or(&test);
        folder.join("collector")
    };
    anyhow::ensure!(
        path.is_file(),
        "there is no agent at {}: run `cargo build --package collector`",
        path.display()
    );
    Ok(Command::new(path))
}
