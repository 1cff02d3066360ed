//! The eBPF object: built on stable, stripped, the same bytes everywhere.

mod build;
mod strip;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::workspace;
pub(crate) use build::{check_tools, clippy, has_core, library};

/// Rebuilds the committed eBPF object.
///
/// Builds the programs of `collector-ebpf`, strips all debugging information
/// but BTF, and writes the object that the agent embeds. The same source gives
/// the same bytes, wherever the workspace, cargo's home and the toolchain are.
///
/// Needs rust-src and bpf-linker: `cargo xtask setup` brings both. Takes about
/// 40 s the first time, and 2 s after that.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct BuildEbpf {
    /// Write nothing; fail if the committed object is not what the source gives
    #[arg(long)]
    pub(crate) check: bool,
    /// Build programs that log what they do, into target/ebpf; the committed object stays as it is
    #[arg(long, conflicts_with = "check")]
    pub(crate) debug_log: bool,
}

/// The committed object, one for all little-endian architectures: no program
/// in it reads a register of the interrupted task, the only thing that differs.
pub(crate) fn committed() -> PathBuf {
    workspace::root().join("collector-user/src/source/ebpf/collector.bpf.o")
}

impl BuildEbpf {
    /// Builds the object, then writes or compares it.
    ///
    /// # Errors
    /// When a tool is missing, the build fails, or, with `--check`, the object
    /// differs from the committed one.
    pub(crate) fn run(&self) -> Result<()> {
        let built = build::build(if self.debug_log {
            "debug-log"
        } else {
            "programs"
        })?;
        let object = strip::strip(&fs::read(&built).with_context(|| built.display().to_string())?)
            .with_context(|| format!("cannot strip {}", workspace::show(&built)))?;

        if self.debug_log {
            let path = built.with_file_name("collector-debug-log.bpf.o");
            fs::write(&path, &object).with_context(|| path.display().to_string())?;
            let shown = workspace::show(&path);
            println!(
                "{shown} written; use it with COLLECTOR_EBPF_OBJECT={shown} COLLECTOR_LOG=debug"
            );
            return Ok(());
        }
        let path = committed();
        let shown = workspace::show(&path);
        let old = fs::read(&path).ok();
        if old.as_deref() == Some(&object[..]) {
            println!("{shown} is up to date ({} bytes)", object.len());
            return Ok(());
        }
        if self.check {
            // Kept, so that the two can be compared with a disassembler.
            let other = built.with_extension("stripped.o");
            fs::write(&other, &object).with_context(|| other.display().to_string())?;
            bail!(
                "{shown} {}; the build is in {}; run `cargo xtask build-ebpf` and commit the object",
                match old {
                    Some(_) => "is not what the source gives",
                    None => "is missing",
                },
                workspace::show(&other),
            );
        }
        fs::write(&path, &object).with_context(|| path.display().to_string())?;
        println!("{shown} written ({} bytes)", object.len());
        Ok(())
    }
}
