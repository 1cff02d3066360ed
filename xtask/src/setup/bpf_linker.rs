//! bpf-linker, built against the LLVM release of the compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::apt::{Apt, own_suites};
use crate::command;

const VERSION: &str = "0.13.0";

/// The LLVM release of the pinned compiler. Another release may not read its bitcode,
/// and generates other code.
const LLVM: &str = "22";

/// Installs bpf-linker by `cargo install`.
///
/// # Errors
/// When LLVM cannot be installed, or the build fails.
pub(super) fn bring() -> Result<()> {
    if let Some(path) = command::which("bpf-linker")
        && let Ok(text) = command::output(Command::new(path).arg("--version"))
        && text.split_whitespace().any(|word| word == VERSION)
    {
        println!("bpf-linker: installed already");
        return Ok(());
    }
    let prefix = llvm().with_context(|| {
        format!(
            "bpf-linker {VERSION} cannot be built: install LLVM {LLVM} with its headers \
             (llvm-{LLVM}-dev), Polly (libpolly-{LLVM}-dev) and zstd (libzstd-dev), or put a \
             bpf-linker {VERSION} that was built against it on PATH"
        )
    })?;
    println!(
        "bpf-linker: building {VERSION} against {} (2 minutes)",
        prefix.display()
    );
    command::run(
        command::cargo()
            // Without it, the build uses the first `llvm-config` on PATH.
            .env("LLVM_PREFIX", &prefix)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_TARGET_DIR")
            .args(["install", "bpf-linker", "--version", VERSION, "--locked"])
            .args(["--force", "--no-default-features", "--features"])
            .arg(format!("llvm-{LLVM}")),
    )?;
    println!("bpf-linker: installed");
    Ok(())
}

/// The prefix of LLVM, which is installed if it is missing.
fn llvm() -> Result<PathBuf> {
    let prefix = Path::new("/usr/lib").join(format!("llvm-{LLVM}"));
    if is_complete(&prefix) {
        return Ok(prefix);
    }
    println!("bpf-linker: installing LLVM {LLVM} (600 MB)");
    let packages = [
        format!("llvm-{LLVM}-dev"),
        format!("libpolly-{LLVM}-dev"),
        "libzstd-dev".to_owned(),
    ];
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    Apt::open("own", &own_suites())?.install(&packages, None)?;
    if !is_complete(&prefix) {
        bail!(
            "the packages are installed, but {} is not complete",
            prefix.display()
        );
    }
    Ok(prefix)
}

/// Whether everything that bpf-linker links with is installed.
fn is_complete(prefix: &Path) -> bool {
    let zstd = ["/usr/include/zstd.h", "/usr/local/include/zstd.h"];
    prefix.join("bin/llvm-config").exists()
        && prefix.join("include/llvm-c/Core.h").exists()
        && prefix.join("lib/libPolly.a").exists()
        && zstd.iter().any(|path| Path::new(path).exists())
}
