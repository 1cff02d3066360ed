//! The root tests in virtual machines, on other kernels than the host's.

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

/// Runs the root tests in virtual machines, but for those that need strace or
/// runqlat.
///
/// Boots kernels of several series, each with a file system of its own in
/// memory that holds the tests and the agent, linked statically. The first
/// process runs the doctor and the tests, and prints one line which is the
/// verdict. A hang and a panic of the kernel are failures, and so is a kernel
/// that cannot be had.
///
/// With --possible-cpus a guest boots with two CPUs on, and with others there
/// that are never switched on: what the kernel and the agent keep for each
/// possible CPU, and do for each, is had without so many. A kernel that does not
/// make them possible fails, and says so.
///
/// Kernels are fetched from Debian's packages and kept in the user's cache
/// folder. Needs QEMU 9 or later and busybox, and for another architecture than
/// this machine's a compiler that links for it: `cargo xtask setup --for test`
/// brings all. As many guests as there are CPUs run at once. With KVM takes a
/// minute for each kernel, without it several.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub(crate) struct TestVm {
    /// The architecture of the guests, if it is not that of this machine
    #[arg(long, value_enum, value_name = "ARCH")]
    arch: Option<Architecture>,
    /// A kernel: the newest of a series (6.1), the same or else of the next series there is
    /// (6.18+), or the newest of all (newest); may be given more than once
    #[arg(long = "kernel", value_name = "KERNEL", default_values_t = default_kernels())]
    kernels: Vec<Wanted>,
    /// Ask for the newest kernel of each series, even if an older one is in the cache
    #[arg(long)]
    fetch: bool,
    /// Show the kernels that are in the cache or can be fetched, and run nothing
    #[arg(long)]
    list: bool,
    /// How many CPUs are possible in the guest: 2 of them are on
    #[arg(long, value_name = "N", default_value_t = machine::CPUS_ON, value_parser = machine::possible_cpus())]
    possible_cpus: u32,
    /// Run the tests beside noise: processes, threads, moves between cgroups and more
    #[arg(long)]
    noise: bool,
    /// For figures: build the tests optimised, as the agent is, and show what they print
    #[arg(long)]
    figures: bool,
    /// Run only the tests whose names contain one of these
    filters: Vec<String>,
}

/// The oldest series that is supported, those that many machines run, and the
/// newest one.
const DEFAULT_KERNELS: [&str; 5] = ["5.10", "6.1", "6.12", "6.18+", "newest"];

/// The one that is tested for another architecture by default: programs and
/// kernels differ little by it, and each takes minutes to emulate.
const KERNELS_ELSEWHERE: [&str; 1] = ["newest"];

fn default_kernels() -> Vec<Wanted> {
    parse(&DEFAULT_KERNELS)
}

fn parse(kernels: &[&str]) -> Vec<Wanted> {
    let kernels = kernels.iter().map(|text| text.parse());
    kernels.filter_map(Result::ok).collect()
}

/// The tests that are left out: they need strace and runqlat, which a guest has
/// not. The host runs them.
const LEFT_OUT: [&str; 2] = ["opens::", "runqlat::"];

/// Folders of the guest. Those above others come first.
const FOLDERS: [&str; 8] = ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"];

impl TestVm {
    /// The default kernels, all tests.
    pub(crate) fn default_series() -> Self {
        Self::all_tests(None, default_kernels())
    }

    /// The same for an architecture that is not this machine's, with fewer kernels.
    pub(crate) fn elsewhere(architecture: Architecture) -> Self {
        Self::all_tests(Some(architecture), parse(&KERNELS_ELSEWHERE))
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
    /// When something that is needed is missing, or the tests fail on a kernel;
    /// the other kernels are tried all the same.
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
            // All of it, as `cargo xtask test` does, so that nothing is built twice.
            (false, true) => Suite::build()?,
            (false, false) => Suite::build_root_tests(architecture)?,
        };
        let mut steps = Steps::default();
        steps.together(at_once(), self.steps(&suite));
        steps.finish()
    }

    /// Runs tests that are built already: a step for each kernel.
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
                take: Box::new(move || {
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
        arguments.extend(LEFT_OUT.iter().flat_map(|name| ["--skip", name]));
        arguments.extend(self.filters.iter().map(String::as_str));
        arguments.into_iter().map(str::to_owned).collect()
    }
}

/// How many guests run at once. Each has two CPUs, and uses a third of each, since
/// most tests wait most of the time.
pub(crate) fn at_once() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// What all guests have in common, made when the first one is run.
struct Guests<'suite> {
    suite: &'suite Suite,
    possible_cpus: u32,
    /// Whether to ask for the newest kernel of a series.
    fetch: bool,
    noise: bool,
    arguments: Vec<String>,
    ready: Option<(PathBuf, Accelerator)>,
    /// The kernels that were run.
    done: Vec<String>,
}

/// What is to be booted.
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

    /// Brings the kernel, and what is the same for all.
    fn prepare(&mut self, wanted: Wanted) -> Result<Guest> {
        let kernel = kernel::get(self.suite.architecture, wanted, self.fetch)?;
        if self.done.contains(&kernel.release) {
            bail!(
                "{} was tested already: no other is to be had",
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
            "left out, since a guest has not what they need: {}",
            LEFT_OUT.join(", ")
        );
        // What the guest's first process reads: the name of the accelerator, the
        // number of possible CPUs, whether there is noise, then a line for each
        // argument of the tests.
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
    /// Runs it to its end. A boot that does not get to the first process is tried
    /// once more.
    fn run(&self, label: &str) -> Result<Report> {
        match self.boot(label) {
            Err(error) if error.downcast_ref::<NotBooted>().is_some() => {
                println!("{error:#}\ntrying {label} once more");
                self.boot(label)
            }
            result => result,
        }
    }

    /// The limits are for emulation on a slow machine.
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

/// Writes the guest's files. Without `arguments` there are no tests among them.
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
        // That of this machine tells; it is the same package.
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

/// Where the files of the guests of an architecture are made.
fn folder(architecture: Architecture) -> PathBuf {
    workspace::target()
        .join("vm")
        .join(architecture.to_string())
}

/// A copy without debugging information: it would fill the guest's memory.
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
