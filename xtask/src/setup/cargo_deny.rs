//! cargo-deny, which checks licences and sources of dependencies.

use anyhow::Result;

use crate::command;

const VERSION: &str = "0.20.2";

/// Installs cargo-deny by `cargo install`.
///
/// # Errors
/// When it cannot be downloaded, or the build fails.
pub(super) fn bring() -> Result<()> {
    if command::which("cargo-deny").is_some() {
        println!("cargo-deny: installed already");
        return Ok(());
    }
    println!("cargo-deny: building {VERSION} (3 minutes)");
    command::run(
        command::cargo()
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_TARGET_DIR")
            .args(["install", "cargo-deny", "--version", VERSION, "--locked"])
            // Advisories are not checked, so it needs neither git nor TLS.
            .arg("--no-default-features"),
    )?;
    println!("cargo-deny: installed");
    Ok(())
}
