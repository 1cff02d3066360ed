//! Brings what the other tasks need, by the first way that works.

pub(crate) mod bench;
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
    /// `test` and `test-vm`: the same, and QEMU, busybox, gcc for arm64 and cargo-deny
    Test,
    /// `bench`: loads, and programs to compare with, which are not installed
    Bench,
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
    let steps: &[fn() -> Result<()>] = match purpose {
        Purpose::Build => &[rust_src::bring, bpf_linker::bring],
        Purpose::Host => &[rust_src::bring, bpf_linker::bring, tools::bring_for_host],
        Purpose::Test => &[
            rust_src::bring,
            bpf_linker::bring,
            tools::bring_for_host,
            tools::bring,
            cargo_deny::bring,
        ],
        // The object that it measures is committed.
        Purpose::Bench => &[bench::bring],
    };
    let failures: Vec<String> = steps
        .iter()
        .filter_map(|step| step().err())
        .map(|error| format!("{error:#}"))
        .collect();
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}
