//! Everything that must hold before a change is taken.

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;

use crate::architecture::Architecture;
use crate::ebpf::BuildEbpf;
use crate::setup::{self, Purpose};
use crate::steps::{Outcome, Steps};
use crate::suite::Suite;
use crate::vm::TestVm;
use crate::{command, lint};

/// Runs all checks and tests, and says what came of each.
///
/// Brings the tools that are missing (see `setup`), then checks format, lints,
/// documentation and the committed eBPF object, and runs the unit tests, the
/// tests on this host's kernel, and the same in virtual machines on five kernels,
/// from 5.10 to the newest to be had, and on the newest of arm64. Needs root, and
/// Debian or Ubuntu or what `setup` names.
///
/// Takes about three quarters of an hour on two processors in a fresh clone.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Test {
    /// Leave out the virtual machines
    #[arg(long)]
    no_vm: bool,
}

impl Test {
    /// Takes each step, also after one has failed.
    ///
    /// # Errors
    /// When one failed.
    pub(crate) fn run(&self) -> Result<()> {
        let mut steps = Steps::default();
        let purpose = if self.no_vm {
            Purpose::Host
        } else {
            Purpose::Test
        };
        steps.check("setup", || setup::bring(purpose));
        lint::lint(&mut steps);
        steps.check("committed eBPF object", || {
            BuildEbpf {
                check: true,
                debug_log: false,
            }
            .run()
        });
        steps.tests("tests of xtask", || {
            command::run_tests(command::cargo().args(["test", "--locked", "--package", "xtask"]))
        });

        let mut suite = None;
        steps.check("build of the tests", || {
            suite = Some(Suite::build()?);
            Ok(())
        });
        let suite = suite.as_ref().context("the tests do not build");
        let built = || suite.as_ref().map_err(|error| anyhow::anyhow!("{error}"));
        steps.tests("unit tests", || built()?.run_unit());
        steps.tests("tests on this host", || built()?.run_root());
        let not_run = match &suite {
            _ if self.no_vm => Err("left out by --no-vm"),
            Err(_) => Err("the tests do not build"),
            Ok(suite) => Ok(suite),
        };
        match not_run {
            Ok(suite) => {
                TestVm::default_series().take_steps(suite, &mut steps);
                take_steps_elsewhere(&mut steps);
            }
            Err(reason) => {
                steps.step("virtual machines", || {
                    Ok(Outcome::NotRun(reason.to_owned()))
                });
            }
        }
        steps.finish()
    }
}

/// The tests in virtual machines of the architecture that is not this machine's.
fn take_steps_elsewhere(steps: &mut Steps) {
    let architectures = Architecture::value_variants();
    for architecture in architectures
        .iter()
        .filter(|architecture| !architecture.is_of_this_machine())
    {
        let mut suite = None;
        steps.check(format!("build of the tests for {architecture}"), || {
            suite = Some(Suite::build_root_tests(*architecture)?);
            Ok(())
        });
        if let Some(suite) = &suite {
            TestVm::elsewhere(*architecture).take_steps(suite, steps);
        }
    }
}
