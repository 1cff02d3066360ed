//! The cargo command that builds the programs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::{command, workspace};

/// The target. Only little-endian machines are supported.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// Builds the programs with these features, and returns the directory of the objects,
/// unstripped, one a binary of the crate.
///
/// # Errors
/// When rust-src or bpf-linker is missing, or the build fails.
pub(crate) fn build(features: &str) -> Result<PathBuf> {
    check_tools()?;
    command::run(&mut cargo("build", features)?)?;
    Ok(folder().join(TARGET).join("release"))
}

/// Runs clippy on the programs, for their target.
///
/// # Errors
/// When there is a warning.
pub(crate) fn clippy() -> Result<()> {
    command::run(cargo("clippy", "debug-log")?.args(["--", "--deny=warnings"]))
}

/// Checks that rust-src and bpf-linker are installed.
///
/// # Errors
/// When one is missing, with the command that installs it.
pub(crate) fn check_tools() -> Result<()> {
    let library = library()?;
    let mut missing = Vec::new();
    if !has_core(&library) {
        missing.push(format!("rust-src (no core in {})", library.display()));
    }
    if command::which("bpf-linker").is_none() {
        missing.push("bpf-linker (not on PATH)".to_owned());
    }
    if !missing.is_empty() {
        bail!(
            "missing: {}; run `cargo xtask setup --for build`",
            missing.join(", ")
        );
    }
    Ok(())
}

/// `cargo VERB` for the programs and their target, with `core` built from source.
fn cargo(verb: &str, features: &str) -> Result<Command> {
    let mut cargo = command::cargo();
    cargo
        // Needed for `-Z build-std` and for the atomic intrinsics; the compiler is
        // the stable one.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&library()?).join("\u{1f}"))
        .env_remove("RUSTFLAGS")
        .args([verb, "--locked", "--release", "-Z", "build-std=core"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(folder())
        .args(["--package", "collector-ebpf", "--features", features])
        .args(["--bins"]);
    Ok(cargo)
}

/// A separate target directory, so that neither build waits for the other's lock.
fn folder() -> PathBuf {
    workspace::target().join("ebpf")
}

fn flags(library: &Path) -> Vec<String> {
    let mut flags = vec![
        // Only programs that read registers depend on the architecture. None does, so
        // that one object serves all.
        "--cfg=bpf_target_arch=\"x86_64\"".to_owned(),
        // BTF is made from the debugging information.
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        // Atomic operations that return a value, and 32-bit instructions:
        // https://docs.kernel.org/bpf/standardization/instruction-set.html
        "-Ctarget-cpu=v3".to_owned(),
    ];
    // BTF's line information has file names. The last match wins, so that
    // subdirectories come after their parents.
    let mut prefixes = BTreeSet::new();
    let mut remap = |path: &Path, name: &str| {
        prefixes.insert((path.to_path_buf(), name.to_owned()));
        if let Ok(path) = path.canonicalize() {
            prefixes.insert((path, name.to_owned()));
        }
    };
    remap(workspace::root(), "/collector");
    remap(library, "/rust/library");
    // One directory a registry, created for xtask's own dependencies.
    for registry in registries() {
        remap(&registry, "/registry");
    }
    flags.extend(
        prefixes
            .into_iter()
            .map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display())),
    );
    flags
}

/// The directories that cargo unpacks crates to.
fn registries() -> Vec<PathBuf> {
    let Some(home) = workspace::cargo_home() else {
        return Vec::new();
    };
    fs::read_dir(home.join("registry/src"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

/// The path of rust-src in the sysroot, whether or not it is installed.
///
/// # Errors
/// When rustc cannot be run.
pub(crate) fn library() -> Result<PathBuf> {
    let sysroot = command::output(command::rustc().args(["--print", "sysroot"]))?;
    Ok(Path::new(&sysroot).join("lib/rustlib/src/rust/library"))
}

/// Whether `library` contains `core`.
pub(crate) fn has_core(library: &Path) -> bool {
    library.join("core/Cargo.toml").is_file()
}
