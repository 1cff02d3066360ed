//! The checker of licences and sources of dependencies.

use anyhow::Result;

use crate::command;

const VERSION: &str = "0.20.2";

/// Brings cargo-deny into cargo's folder for programs.
///
/// # Errors
/// When it cannot be had, or the build fails.
pub(super) fn bring() -> Result<()> {
    if command::which("cargo-deny").is_some() {
        println!("cargo-deny: there already");
        return Ok(());
    }
    println!("cargo-deny: building {VERSION} (3 minutes)");
    command::run(
        command::cargo()
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_TARGET_DIR")
            .args(["install", "cargo-deny", "--version", VERSION, "--locked"])
            // Advisories are not asked for, so it needs no git and no TLS.
            .arg("--no-default-features"),
    )?;
    println!("cargo-deny: there now");
    Ok(())
}
