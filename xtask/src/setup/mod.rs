//! Installs the tools that the other tasks need.

pub(crate) mod bench;
mod bpf_linker;
mod cargo_deny;
mod rust_src;
mod tools;

use anyhow::{Result, bail};

/// Installs the tools that building the eBPF object and testing need.
///
/// A tool that is installed already is left as it is; the others come from rustup
/// or from the distribution's packages. The machine's apt sources are not changed.
///
/// Building and running collector needs none of these tools.
///
/// Takes about 8 minutes on a fresh Debian or Ubuntu machine, as root, and less
/// than a second when everything is installed.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Setup {
    /// The task that needs the tools
    #[arg(long = "for", value_enum, value_name = "TASK", default_value = "test")]
    task: Purpose,
}

/// A task that needs tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Purpose {
    /// `build-ebpf`: rust-src and bpf-linker
    Build,
    /// `test --no-vm`: those of `build`, and strace, stress-ng and runqlat
    Host,
    /// `test` and `test-vm`: those of `host`, and QEMU, busybox and cargo-deny
    Test,
    /// `test --all-kernels` and `test-vm --arch`: those of `test`, and QEMU and a cross
    /// compiler for the other architecture
    AllKernels,
    /// `bench`: load generators, and the programs that collector is compared with
    Bench,
}

impl Setup {
    /// Installs the tools.
    ///
    /// # Errors
    /// When a tool cannot be installed; the others are installed all the same.
    pub(crate) fn run(&self) -> Result<()> {
        bring(self.task)
    }
}

/// Installs the tools that `purpose` needs.
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
            tools::bring_for_guests,
            cargo_deny::bring,
        ],
        Purpose::AllKernels => &[
            rust_src::bring,
            bpf_linker::bring,
            tools::bring_for_host,
            tools::bring_for_all_guests,
            cargo_deny::bring,
        ],
        // It measures the committed object, and so needs none of the others.
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
