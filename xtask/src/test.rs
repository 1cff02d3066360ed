//! Everything that must pass before a change is merged.

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;

use crate::architecture::Architecture;
use crate::ebpf::BuildEbpf;
use crate::setup::{self, Purpose};
use crate::steps::{Outcome, Step, Steps};
use crate::suite::Suite;
use crate::tally::Tally;
use crate::vm::{self, TestVm};
use crate::{command, lint, noise, recipe};

/// Runs all checks and tests, and prints a summary.
///
/// Installs the tools that are missing (see `setup`). Checks the format, lints,
/// documentation and the committed eBPF object. Runs the unit tests, and the root
/// tests on this host's kernel, both beside a background load of forks, execs,
/// threads and cgroup migrations. Then runs the root tests in virtual machines on
/// three kernels: 5.10 (the oldest supported), 6.12, and the newest available.
///
/// With --all-kernels the virtual machines also run 6.1, 6.18 or the next
/// available series, and the newest kernel of arm64. Run it for a change of the
/// eBPF programs or their loader.
///
/// Needs root, and Debian or Ubuntu or the tools that `setup` names. Takes 25 to 30
/// minutes on two CPUs in a fresh clone, without KVM and without the time for the
/// tools; with --all-kernels about 45 minutes.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Test {
    /// Skip the virtual machines
    #[arg(long)]
    no_vm: bool,
    /// Run the virtual machines on every kernel series, and on arm64
    #[arg(long, conflicts_with = "no_vm")]
    all_kernels: bool,
}

impl Test {
    /// Runs every step, also after one has failed.
    ///
    /// # Errors
    /// When a step failed.
    pub(crate) fn run(&self) -> Result<()> {
        let mut steps = Steps::default();
        let purpose = match (self.no_vm, self.all_kernels) {
            (true, _) => Purpose::Host,
            (false, false) => Purpose::Test,
            (false, true) => Purpose::AllKernels,
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
            _ if self.no_vm => {
                steps.check("recipe", recipe::Recipe::run);
                not_run(&mut steps, "skipped by --no-vm");
            }
            Err(_) => not_run(&mut steps, "the tests do not build"),
            Ok(suite) => self.run_guests(suite, &mut steps),
        }
        steps.finish()
    }

    /// The root tests in virtual machines.
    fn run_guests(&self, own: &Suite, steps: &mut Steps) {
        if !self.all_kernels {
            let guests = TestVm::on_default_kernels().steps(own).into_iter();
            return steps.together(vm::at_once(), guests.chain([recipe_step()]).collect());
        }
        let mut foreign = Vec::new();
        let architectures = Architecture::value_variants().iter();
        for architecture in architectures.filter(|each| !each.is_of_this_machine()) {
            steps.check(format!("build of the tests for {architecture}"), || {
                foreign.push(Suite::build_root_tests(*architecture)?);
                Ok(())
            });
        }
        // They are emulated on every machine, and so take longest: they start first.
        let foreign = foreign
            .iter()
            .flat_map(|suite| TestVm::on_foreign_kernels(suite.architecture).steps(suite));
        let guests = foreign.chain(TestVm::on_all_kernels().steps(own));
        steps.together(vm::at_once(), guests.chain([recipe_step()]).collect());
    }
}

/// Adds a metric by the recipe: a build, which uses the CPU time that the guests leave.
fn recipe_step() -> Step<'static> {
    Step {
        name: "recipe".to_owned(),
        run: Box::new(|| {
            recipe::Recipe::run()?;
            Ok(Outcome::Ran(Tally::PASSED, String::new()))
        }),
    }
}

fn not_run(steps: &mut Steps, reason: &str) {
    steps.step("virtual machines", || {
        Ok(Outcome::NotRun(reason.to_owned()))
    });
}
