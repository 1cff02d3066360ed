//! Everything that must hold before a change is taken.

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;

use crate::architecture::Architecture;
use crate::ebpf::BuildEbpf;
use crate::setup::{self, Purpose};
use crate::steps::{Outcome, Steps};
use crate::suite::Suite;
use crate::vm::{self, TestVm};
use crate::{command, lint, noise};

/// Runs all checks and tests, and says what came of each.
///
/// Brings the tools that are missing (see `setup`), then checks format, lints,
/// documentation and the committed eBPF object, and runs the unit tests and the
/// tests on this host's kernel, both beside noise: processes, threads, moves
/// between cgroups and more. Then the same in virtual machines on five kernels,
/// from 5.10 to the newest to be had, and on the newest of arm64, as many at once as
/// there are processors. Needs root, and Debian or Ubuntu or what `setup` names.
///
/// Takes half an hour to three quarters on two processors in a fresh clone.
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
        steps.step("unit tests beside noise", || {
            let suite = built()?;
            noise::beside(&suite.noise, || suite.run_unit())
        });
        steps.step("host tests beside noise", || {
            let suite = built()?;
            noise::beside(&suite.noise, || suite.run_root())
        });
        match &suite {
            _ if self.no_vm => not_run(&mut steps, "left out by --no-vm"),
            Err(_) => not_run(&mut steps, "the tests do not build"),
            Ok(suite) => in_guests(suite, &mut steps),
        }
        steps.finish()
    }
}

fn not_run(steps: &mut Steps, reason: &str) {
    steps.step("virtual machines", || {
        Ok(Outcome::NotRun(reason.to_owned()))
    });
}

/// The tests in virtual machines, also of the architecture that is not this
/// machine's.
fn in_guests(own: &Suite, steps: &mut Steps) {
    let architectures = Architecture::value_variants();
    let mut elsewhere = Vec::new();
    for architecture in architectures
        .iter()
        .filter(|architecture| !architecture.is_of_this_machine())
    {
        steps.check(format!("build of the tests for {architecture}"), || {
            elsewhere.push(Suite::build_root_tests(*architecture)?);
            Ok(())
        });
    }
    // Those that are emulated on every machine take longest: they begin first.
    let elsewhere = elsewhere
        .iter()
        .flat_map(|suite| TestVm::elsewhere(suite.architecture).steps(suite));
    let guests = elsewhere
        .chain(TestVm::default_series().steps(own))
        .collect();
    steps.together(vm::at_once(), guests);
}
