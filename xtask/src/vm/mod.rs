//! The root tests in virtual machines, on other kernels than the host's.

mod console;
mod initramfs;
mod kernel;
mod machine;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use object::Object as _;

use crate::suite::Suite;
use crate::tally::Tally;
use crate::{command, workspace};
use console::Limits;
use initramfs::Initramfs;
use kernel::Kernel;
use machine::Accelerator;
pub(crate) use machine::{check as check_qemu, is_new_enough};

/// Runs the root tests in virtual machines, but for those that need strace.
///
/// Boots kernels of several series, each with a file system of its own in
/// memory that holds the tests and the agent, linked statically. The first
/// process runs the tests, and prints one line which is the verdict. A hang and
/// a panic of the kernel are failures.
///
/// Kernels are fetched from Debian's packages and kept in the user's cache
/// folder. Needs QEMU 9 or later and busybox: `cargo xtask setup --for test`
/// brings both. With KVM takes a minute for each kernel, without it several.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct TestVm {
    /// A series of kernels, such as 6.1; may be given more than once [default: 5.10 and 6.12]
    #[arg(long = "kernel", value_name = "SERIES")]
    kernels: Vec<String>,
    /// Ask for the newest kernel of each series, even if an older one is in the cache
    #[arg(long)]
    fetch: bool,
    /// Run only the tests whose names contain this
    filter: Option<String>,
}

/// The tests that are left out: they need strace, which a guest has not. The
/// host runs them.
const LEFT_OUT: &str = "opens::";

/// Folders of the guest. Those above others come first.
const FOLDERS: [&str; 8] = ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"];

impl TestVm {
    /// The default series, all tests.
    pub(crate) fn default_series() -> Self {
        Self {
            kernels: Vec::new(),
            fetch: false,
            filter: None,
        }
    }

    /// Builds the tests, and runs them on each kernel.
    ///
    /// # Errors
    /// When something that is needed is missing, or the tests fail on a kernel;
    /// the other kernels are tried all the same.
    pub(crate) fn run(&self) -> Result<()> {
        check_qemu()?;
        check_busybox()?;
        let tally = self.run_suite(&Suite::build()?)?;
        println!("{} passed, {} failed", tally.passed, tally.failed);
        if tally.failed > 0 {
            bail!("tests failed");
        }
        Ok(())
    }

    /// Runs tests that are built already, and counts them.
    ///
    /// # Errors
    /// When something that is needed is missing, or a guest did not get to the
    /// end of its tests.
    pub(crate) fn run_suite(&self, suite: &Suite) -> Result<Tally> {
        let folder = workspace::target().join("vm");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let series: Vec<&str> = if self.kernels.is_empty() {
            kernel::DEFAULT_SERIES.to_vec()
        } else {
            self.kernels.iter().map(String::as_str).collect()
        };

        let mut tally = Tally::default();
        let mut kernels = Vec::new();
        let mut failures = Vec::new();
        for series in series {
            match kernel::of_series(series, self.fetch) {
                Ok(kernel) => kernels.push(kernel),
                Err(error) => failures.push(format!("{series}: {error:#}")),
            }
        }
        if let Some(first) = kernels.first() {
            let empty = folder.join("empty.cpio");
            write_initramfs(&empty, suite, None)?;
            let accelerator = Accelerator::choose(first, &empty)?;
            let full = folder.join("tests.cpio");
            let arguments = self.arguments(accelerator);
            println!("left out, since a guest has no strace: {LEFT_OUT}*");
            write_initramfs(&full, suite, Some(&arguments))?;
            for kernel in &kernels {
                match boot(kernel, &full, accelerator) {
                    Ok(counted) => tally += counted,
                    Err(error) => failures.push(format!("{}: {error:#}", kernel.release)),
                }
            }
        }
        if !failures.is_empty() {
            bail!("{}", failures.join("\n"));
        }
        Ok(tally)
    }

    /// What the guest's first process reads: a line for each argument of the
    /// tests, after one that names the accelerator.
    fn arguments(&self, accelerator: Accelerator) -> String {
        let mut lines = vec![accelerator.name(), "--test-threads=1"];
        lines.extend(["--skip", LEFT_OUT]);
        lines.extend(self.filter.as_deref());
        lines.join("\n")
    }
}

fn boot(kernel: &Kernel, initramfs: &Path, accelerator: Accelerator) -> Result<Tally> {
    println!("booting {} with {}", kernel.release, accelerator.name());
    let start = Instant::now();
    let limits = Limits {
        total: Duration::from_mins(20),
        silence: Duration::from_mins(4),
    };
    let mut machine = machine::start(kernel, initramfs, accelerator, Stdio::inherit())?;
    let tally = console::follow(&mut machine, limits, true)?;
    println!(
        "{}: {} passed, {} failed, in {} s",
        kernel.release,
        tally.passed,
        tally.failed,
        start.elapsed().as_secs()
    );
    Ok(tally)
}

/// Writes the guest's files. Without `arguments` there are no tests among them.
fn write_initramfs(path: &Path, suite: &Suite, arguments: Option<&str>) -> Result<()> {
    let shown = || path.display().to_string();
    let out = BufWriter::new(File::create(path).with_context(shown)?);
    let mut archive = Initramfs::new(out);
    for folder in FOLDERS {
        archive.folder(folder).with_context(shown)?;
    }
    archive.program("init", &stripped(&suite.init)?)?;
    if let Some(arguments) = arguments {
        let busybox = check_busybox()?;
        archive.program("bin/busybox", &busybox)?;
        let applets = command::output(Command::new(&busybox).arg("--list"))?;
        for applet in applets.lines().filter(|name| *name != "busybox") {
            archive
                .link(&format!("bin/{applet}"), "busybox")
                .with_context(shown)?;
        }
        archive.program("bin/collector", &stripped(&suite.collector)?)?;
        archive.program("bin/tests", &stripped(&suite.root_tests)?)?;
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

/// A copy without debugging information: it would fill the guest's memory.
fn stripped(program: &Path) -> Result<PathBuf> {
    let name = program.file_name().context("a program without a name")?;
    let copy = workspace::target().join("vm").join(name);
    command::run(
        Command::new("strip")
            .args(["--strip-debug", "-o"])
            .arg(&copy)
            .arg(program),
    )?;
    Ok(copy)
}

/// Where busybox is: one that needs no libraries, since a guest has none.
///
/// # Errors
/// When it is not there, or needs libraries.
pub(crate) fn check_busybox() -> Result<PathBuf> {
    const MEND: &str = "run `cargo xtask setup --for test`";
    let Some(path) = command::which("busybox") else {
        bail!("busybox is not on PATH; {MEND}");
    };
    let data = fs::read(&path).with_context(|| path.display().to_string())?;
    let file = object::File::parse(&*data).with_context(|| path.display().to_string())?;
    if file.section_by_name(".interp").is_some() {
        bail!(
            "{} needs libraries, which a guest has not; {MEND}",
            path.display()
        );
    }
    Ok(path)
}
