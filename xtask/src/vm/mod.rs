//! The root tests in virtual machines, on kernels other than the host's.

mod busybox;
mod console;
mod doctor;
mod initramfs;
mod kernel;
mod list;
mod machine;
mod series;

use std::fs::{self, File};
use std::io::BufWriter;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::architecture::Architecture;
use crate::steps::{Outcome, Step, Steps};
use crate::suite::Suite;
use crate::{command, workspace};
pub(crate) use busybox::check as check_busybox;
use console::{Limits, NotBooted, Report};
use initramfs::Initramfs;
use kernel::Kernel;
use machine::Accelerator;
pub(crate) use machine::{check as check_qemu, is_new_enough};
use series::Wanted;

/// Runs the root tests in virtual machines, except those that need strace or
/// runqlat.
///
/// Boots each kernel with an initramfs that holds the tests and the agent, both
/// linked statically. The init process runs `collector doctor` and the tests, and
/// prints the result in one line. A hang, a kernel panic and a kernel that cannot
/// be downloaded are failures.
///
/// With --possible-cpus N the guest has N possible CPUs, of which two are online
/// (`maxcpus=2`): this exercises per-CPU memory and per-CPU loops without N
/// processors. It fails on a kernel that does not make N CPUs possible.
///
/// Kernels come from Debian's packages and are kept in the user's cache directory.
/// Needs QEMU 9 or later and busybox (`cargo xtask setup --for test`), and for
/// another architecture a cross compiler (`cargo xtask setup --for all-kernels`).
/// Runs as many guests at once as there are CPUs. A kernel takes one minute with
/// KVM, and 5 to 7 minutes with emulation on two CPUs, two guests at once.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub(crate) struct TestVm {
    /// The architecture of the guests [default: that of this machine]
    #[arg(long, value_enum, value_name = "ARCH")]
    arch: Option<Architecture>,
    /// A kernel: the latest of a series (6.1), the latest of the first available series from
    /// this one on (6.18+), or the latest of all (newest); may be given more than once
    #[arg(long = "kernel", value_name = "KERNEL", default_values_t = all_kernels())]
    kernels: Vec<Wanted>,
    /// Download the latest kernel of each series, even if an older one is in the cache
    #[arg(long)]
    fetch: bool,
    /// List the kernels in the cache and those that can be downloaded, and run nothing
    #[arg(long)]
    list: bool,
    /// Number of possible CPUs of the guest, of which 2 are online
    #[arg(long, value_name = "N", default_value_t = machine::CPUS_ON, value_parser = machine::possible_cpus())]
    possible_cpus: u32,
    /// Run the tests beside a background load of forks, execs, threads and cgroup migrations
    #[arg(long)]
    noise: bool,
    /// Measure: build the tests with the release profile, and show their output
    #[arg(long)]
    figures: bool,
    /// Run only the tests whose names contain one of these
    filters: Vec<String>,
}

/// Every series that is tested: the oldest supported one, the long-term series
/// that distributions ship, and the newest. A kernel takes minutes to emulate.
const ALL_KERNELS: [&str; 5] = ["5.10", "6.1", "6.12", "6.18+", "newest"];

/// What `cargo xtask test` runs without `--all-kernels`: the oldest kernel, one
/// between, and the newest.
const DEFAULT_KERNELS: [&str; 3] = ["6.12", "5.10", "newest"];

/// What is run of the other architecture with `--all-kernels`: the programs and
/// what they use of the kernel depend little on the architecture.
const FOREIGN_KERNELS: [&str; 1] = ["newest"];

fn all_kernels() -> Vec<Wanted> {
    parse(&ALL_KERNELS)
}

fn parse(kernels: &[&str]) -> Vec<Wanted> {
    let kernels = kernels.iter().map(|text| text.parse());
    kernels.filter_map(Result::ok).collect()
}

/// Tests that are skipped in a guest, which has neither strace nor runqlat. The
/// host runs them.
const SKIPPED: [&str; 2] = ["opens::", "runqlat::"];

/// Directories of the guest, parents first.
const FOLDERS: [&str; 8] = ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"];

impl TestVm {
    /// All tests on the kernels of `cargo xtask test`.
    pub(crate) fn on_default_kernels() -> Self {
        Self::all_tests(None, parse(&DEFAULT_KERNELS))
    }

    /// All tests on every series of this machine's architecture.
    pub(crate) fn on_all_kernels() -> Self {
        Self::all_tests(None, all_kernels())
    }

    /// All tests on the kernels of an architecture that is not this machine's.
    pub(crate) fn on_foreign_kernels(architecture: Architecture) -> Self {
        Self::all_tests(Some(architecture), parse(&FOREIGN_KERNELS))
    }

    fn all_tests(arch: Option<Architecture>, kernels: Vec<Wanted>) -> Self {
        Self {
            arch,
            kernels,
            fetch: false,
            list: false,
            possible_cpus: machine::CPUS_ON,
            noise: false,
            figures: false,
            filters: Vec::new(),
        }
    }

    /// Builds the tests, and runs them on each kernel.
    ///
    /// # Errors
    /// When a tool is missing, or the tests fail on a kernel; the remaining kernels
    /// are run all the same.
    pub(crate) fn run(&self) -> Result<()> {
        let own = Architecture::of_this_machine()?;
        let architecture = self.arch.unwrap_or(own);
        if self.list {
            return list::print(architecture, &self.kernels);
        }
        check_qemu(architecture)?;
        busybox::of(architecture)?;
        let suite = match (self.figures, architecture == own) {
            (true, _) => Suite::build_root_tests_optimised(architecture)?,
            // All tests, as in `cargo xtask test`, so that nothing is built twice.
            (false, true) => Suite::build()?,
            (false, false) => Suite::build_root_tests(architecture)?,
        };
        let mut steps = Steps::default();
        steps.together(at_once(), self.steps(&suite));
        steps.finish()
    }

    /// The steps that run `suite`: one a kernel.
    pub(crate) fn steps<'suite>(&self, suite: &'suite Suite) -> Vec<Step<'suite>> {
        let guests = Arc::new(Mutex::new(Guests::new(suite, self)));
        let step = |wanted: &Wanted| {
            let (guests, wanted) = (Arc::clone(&guests), *wanted);
            let label = if suite.architecture.is_of_this_machine() {
                wanted.to_string()
            } else {
                format!("{wanted}, {}", suite.architecture)
            };
            Step {
                name: format!("kernel {label}"),
                run: Box::new(move || {
                    let guest = guests
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .prepare(wanted)?;
                    let report = guest.run(&label)?;
                    let note = format!("{}: {}", guest.kernel.release, report.doctor);
                    Ok(Outcome::Ran(report.tally, note))
                }),
            }
        };
        self.kernels.iter().map(step).collect()
    }

    /// The arguments of the tests.
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--test-threads=1"];
        if self.figures {
            arguments.push("--show-output");
        }
        arguments.extend(SKIPPED.iter().flat_map(|name| ["--skip", name]));
        arguments.extend(self.filters.iter().map(String::as_str));
        arguments.into_iter().map(str::to_owned).collect()
    }
}

/// How many guests run at once. A guest has two CPUs and keeps each a third busy:
/// most tests sleep most of the time.
pub(crate) fn at_once() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// What the guests share: created for the first guest that runs.
struct Guests<'suite> {
    suite: &'suite Suite,
    possible_cpus: u32,
    /// Whether to download the latest kernel of a series even if one is cached.
    fetch: bool,
    noise: bool,
    arguments: Vec<String>,
    ready: Option<(PathBuf, Accelerator)>,
    /// Releases that have been run.
    done: Vec<String>,
}

/// A guest that is ready to boot.
struct Guest {
    kernel: Kernel,
    initramfs: PathBuf,
    accelerator: Accelerator,
    possible_cpus: u32,
}

impl<'suite> Guests<'suite> {
    fn new(suite: &'suite Suite, options: &TestVm) -> Self {
        Self {
            suite,
            possible_cpus: options.possible_cpus,
            fetch: options.fetch,
            noise: options.noise,
            arguments: options.arguments(),
            ready: None,
            done: Vec::new(),
        }
    }

    /// Gets the kernel, and creates the initramfs for the first guest.
    fn prepare(&mut self, wanted: Wanted) -> Result<Guest> {
        let kernel = kernel::get(self.suite.architecture, wanted, self.fetch)?;
        if self.done.contains(&kernel.release) {
            bail!(
                "{} has been tested already, and no other kernel is available",
                kernel.release
            );
        }
        self.done.push(kernel.release.clone());
        let (initramfs, accelerator) = match &self.ready {
            Some(ready) => ready.clone(),
            None => self.ready.insert(self.write(&kernel)?).clone(),
        };
        Ok(Guest {
            kernel,
            initramfs,
            accelerator,
            possible_cpus: self.possible_cpus,
        })
    }

    fn write(&self, kernel: &Kernel) -> Result<(PathBuf, Accelerator)> {
        let folder = folder(self.suite.architecture);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let empty = folder.join("empty.cpio");
        write_initramfs(&empty, self.suite, None)?;
        let accelerator = Accelerator::choose(kernel, &empty)?;
        let full = folder.join("tests.cpio");
        println!(
            "skipped, since a guest has neither strace nor runqlat: {}",
            SKIPPED.join(", ")
        );
        // Read by the guest's init: the accelerator, the number of possible CPUs,
        // `noise` or `quiet`, then one argument of the tests a line.
        let lines = format!(
            "{}\n{}\n{}\n{}",
            accelerator.name(),
            self.possible_cpus,
            if self.noise { "noise" } else { "quiet" },
            self.arguments.join("\n")
        );
        write_initramfs(&full, self.suite, Some(&lines))?;
        Ok((full, accelerator))
    }
}

impl Guest {
    /// Runs the guest until it powers off. A boot that does not reach init is
    /// retried once.
    fn run(&self, label: &str) -> Result<Report> {
        match self.boot(label) {
            Err(error) if error.downcast_ref::<NotBooted>().is_some() => {
                println!("{error:#}\nbooting {label} again");
                self.boot(label)
            }
            result => result,
        }
    }

    /// The limits allow for emulation on a slow machine.
    fn boot(&self, label: &str) -> Result<Report> {
        println!(
            "booting {} with {}, {} possible CPUs",
            self.kernel.release,
            self.accelerator.name(),
            self.possible_cpus
        );
        let start = Instant::now();
        let limits = Limits {
            boot: Duration::from_mins(5),
            total: Duration::from_mins(40),
            silence: Duration::from_mins(8),
        };
        let mut machine = machine::start(
            &self.kernel,
            &self.initramfs,
            self.accelerator,
            self.possible_cpus,
            Stdio::inherit(),
        )?;
        let report = console::follow(&mut machine, limits, Some(label))?;
        println!(
            "{}: {}, in {} s",
            self.kernel.release,
            report.tally,
            start.elapsed().as_secs()
        );
        Ok(report)
    }
}

/// Writes the initramfs. Without `arguments` it holds no tests.
fn write_initramfs(path: &Path, suite: &Suite, arguments: Option<&str>) -> Result<()> {
    let shown = || path.display().to_string();
    let out = BufWriter::new(File::create(path).with_context(shown)?);
    let mut archive = Initramfs::new(out);
    for folder in FOLDERS {
        archive.folder(folder).with_context(shown)?;
    }
    let stripped = |program: &Path| stripped(suite.architecture, program);
    archive.program("init", &stripped(&suite.init)?)?;
    if let Some(arguments) = arguments {
        archive.program("bin/busybox", &busybox::of(suite.architecture)?)?;
        // The applets are listed by this machine's busybox: it is the same package.
        let applets = command::output(Command::new(busybox::check()?).arg("--list"))?;
        for applet in applets.lines().filter(|name| *name != "busybox") {
            archive
                .link(&format!("bin/{applet}"), "busybox")
                .with_context(shown)?;
        }
        archive.program("bin/collector", &stripped(&suite.collector)?)?;
        archive.program("bin/tests", &stripped(&suite.root_tests)?)?;
        archive.program("bin/noise", &stripped(&suite.noise)?)?;
        archive
            .file("etc/tests.arguments", arguments.as_bytes())
            .with_context(shown)?;
        archive
            .file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
            .with_context(shown)?;
    }
    archive.finish().with_context(shown)?;
    Ok(())
}

/// The directory for the files of an architecture's guests.
fn folder(architecture: Architecture) -> PathBuf {
    workspace::target()
        .join("vm")
        .join(architecture.to_string())
}

/// A copy without debugging information, which would fill the guest's memory.
fn stripped(architecture: Architecture, program: &Path) -> Result<PathBuf> {
    let name = program.file_name().context("a program without a name")?;
    let copy = folder(architecture).join(name);
    command::run(
        Command::new(architecture.tool("strip"))
            .args(["--strip-debug", "-o"])
            .arg(&copy)
            .arg(program),
    )?;
    Ok(copy)
}
