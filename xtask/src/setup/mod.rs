//! Brings what the other tasks need, by the first way that works.

mod bpf_linker;
mod cargo_deny;
mod rust_src;
mod tools;

use anyhow::{Result, bail};

/// Brings the tools that building the eBPF object and testing need.
///
/// Each is brought by the first way that works: it may be there already, rustup
/// may have it, or the distribution's packages. What is there is left as it is,
/// so that running this twice does nothing the second time. The machine's own
/// apt sources are not changed.
///
/// Building and running collector needs none of it.
///
/// Takes about 8 minutes on a fresh Debian or Ubuntu machine, as root, and less
/// than a second when everything is there.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Setup {
    /// What the tools are for
    #[arg(long = "for", value_enum, value_name = "TASK", default_value = "test")]
    task: Purpose,
}

/// What tools are brought for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Purpose {
    /// `build-ebpf`: the sources of Rust's core, and bpf-linker
    Build,
    /// `test --no-vm`: the same, and strace, stress-ng and runqlat
    Host,
    /// `test` and `test-vm`: the same, and QEMU, busybox and cargo-deny
    Test,
}

impl Setup {
    /// Brings everything.
    ///
    /// # Errors
    /// When something cannot be had in any way; what is wanted besides is
    /// brought all the same.
    pub(crate) fn run(&self) -> Result<()> {
        bring(self.task)
    }
}

/// Brings what `purpose` needs.
///
/// # Errors
/// As for [`Setup::run`].
pub(crate) fn bring(purpose: Purpose) -> Result<()> {
    let mut steps: Vec<fn() -> Result<()>> = vec![rust_src::bring, bpf_linker::bring];
    if purpose != Purpose::Build {
        steps.push(tools::bring_for_host);
    }
    if purpose == Purpose::Test {
        steps.push(tools::bring);
        steps.push(cargo_deny::bring);
    }
    let failures: Vec<String> = steps
        .into_iter()
        .filter_map(|step| step().err())
        .map(|error| format!("{error:#}"))
        .collect();
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}
