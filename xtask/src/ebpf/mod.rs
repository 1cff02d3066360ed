//! The eBPF object: built with the stable compiler, stripped, and reproducible.

mod build;
mod strip;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::workspace;
pub(crate) use build::{check_tools, clippy, has_core, library};

/// Rebuilds the committed eBPF objects.
///
/// Builds the programs of `collector-ebpf`, strips DWARF but keeps BTF, and writes
/// the objects: the one that the agent embeds, and the one that the benchmark of map
/// layouts loads. The build is reproducible: it does not depend on the paths of the
/// workspace, of cargo's home or of the toolchain.
///
/// Needs rust-src and bpf-linker (`cargo xtask setup --for build`). Takes about 40 s
/// the first time, and 2 s after that.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct BuildEbpf {
    /// Write nothing; fail if a committed object differs from the build
    #[arg(long)]
    pub(crate) check: bool,
    /// Build programs that log, into target/ebpf, and leave the committed objects unchanged
    #[arg(long, conflicts_with = "check")]
    pub(crate) debug_log: bool,
}

/// The binaries of `collector-ebpf`, and the paths of the committed objects. One object
/// serves all little-endian architectures: no program reads registers, the only thing
/// that depends on the architecture.
const OBJECTS: [(&str, &str); 2] = [
    (
        "collector-ebpf",
        "collector-user/src/source/bpf/collector.bpf.o",
    ),
    (
        "collector-layouts",
        "collector-user/benches/tier3/layouts.bpf.o",
    ),
];

impl BuildEbpf {
    /// Builds the objects, then writes or compares them.
    ///
    /// # Errors
    /// When a tool is missing, the build fails, or, with `--check`, an object
    /// differs from the committed one.
    pub(crate) fn run(&self) -> Result<()> {
        let folder = build::build(if self.debug_log {
            "debug-log"
        } else {
            "programs"
        })?;
        if self.debug_log {
            let path = folder.join("collector-debug-log.bpf.o");
            let object = stripped(&folder.join(OBJECTS[0].0))?;
            fs::write(&path, &object).with_context(|| path.display().to_string())?;
            let shown = workspace::show(&path);
            println!(
                "{shown} written; use it with COLLECTOR_EBPF_OBJECT={shown} COLLECTOR_LOG=debug"
            );
            return Ok(());
        }
        for (binary, committed) in OBJECTS {
            self.bring_up_to_date(&folder.join(binary), &workspace::root().join(committed))?;
        }
        Ok(())
    }

    /// Writes or compares one object.
    fn bring_up_to_date(&self, built: &Path, path: &Path) -> Result<()> {
        let object = stripped(built)?;
        let shown = workspace::show(path);
        let old = fs::read(path).ok();
        if old.as_deref() == Some(&object[..]) {
            println!("{shown} is up to date ({} bytes)", object.len());
            return Ok(());
        }
        if self.check {
            // Kept for comparison with a disassembler.
            let other = built.with_extension("stripped.o");
            fs::write(&other, &object).with_context(|| other.display().to_string())?;
            bail!(
                "{shown} {}; the new object is {}; run `cargo xtask build-ebpf` and commit it",
                match old {
                    Some(_) => "differs from the build",
                    None => "is missing",
                },
                workspace::show(&other),
            );
        }
        fs::write(path, &object).with_context(|| path.display().to_string())?;
        println!("{shown} written ({} bytes)", object.len());
        Ok(())
    }
}

/// An object without DWARF.
fn stripped(built: &Path) -> Result<Vec<u8>> {
    strip::strip(&fs::read(built).with_context(|| built.display().to_string())?)
        .with_context(|| format!("cannot strip {}", workspace::show(built)))
}
