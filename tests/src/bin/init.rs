//! The init process of a guest: runs `collector doctor` and the root tests, prints the
//! result in one line, and powers off.
//!
//! `xtask` writes the initramfs and reads the line.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use collector::source::sysfs::parse_cpu_list;
use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};
use rustix::system::{RebootCommand, reboot};
use rustix::termios::tcdrain;

/// The accelerator, the number of possible CPUs, `noise` or `quiet`, then one argument of
/// the tests a line.
const ARGUMENTS: &str = "/etc/tests.arguments";
const TESTS: &str = "/bin/tests";
const COLLECTOR: &str = "/bin/collector";
const NOISE: &str = "/bin/noise";

/// Type and mount point of each file system, parents first.
const MOUNTS: [(&str, &str); 8] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("tmpfs", "/run"),
    ("bpf", "/sys/fs/bpf"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("tracefs", "/sys/kernel/tracing"),
];

fn main() {
    println!("init: begun");
    let verdict = match run() {
        Ok(()) => "success",
        Err(error) => {
            println!("init: {error}");
            "failure"
        }
    };
    println!("init: {verdict}");
    // Otherwise the machine may power off before the line is written. If this fails, the
    // line may be missing, which is a failure, too.
    let _ = tcdrain(std::io::stdout());
    // Returns only on failure; the kernel panics when init exits.
    let _ = reboot(RebootCommand::PowerOff);
}

fn run() -> Result<(), Box<dyn Error>> {
    for (kind, place) in MOUNTS {
        mount(kind, place, kind, MountFlags::empty(), None)
            .map_err(|error| format!("cannot mount {place}: {error}"))?;
    }
    let arguments = match fs::read_to_string(ARGUMENTS) {
        Ok(text) => text,
        // This boot only proves that a guest reaches init.
        Err(_) if !Path::new(TESTS).exists() => return Ok(()),
        Err(error) => return Err(format!("cannot read {ARGUMENTS}: {error}").into()),
    };
    let mut arguments = arguments.lines();
    let accelerator = arguments.next().unwrap_or_default();
    check_cpus(arguments.next().unwrap_or_default())?;
    let is_noisy = arguments.next() == Some("noise");

    // The agent listens on the loopback interface.
    let up = Command::new("/bin/ip")
        .args(["link", "set", "lo", "up"])
        .status()?;
    if !up.success() {
        return Err("cannot bring up the loopback interface".into());
    }

    examine()?;
    // It runs until its standard input is closed.
    let noise = is_noisy.then(|| Command::new(NOISE).stdin(Stdio::piped()).spawn());
    let noise = noise.transpose()?;
    let tests = Command::new(TESTS)
        .args(arguments)
        .current_dir("/tmp")
        .env("COLLECTOR_BIN", COLLECTOR)
        .env("COLLECTOR_TEST_VM", accelerator)
        .env("HOME", "/root")
        .env("PATH", "/bin")
        .env("RUST_BACKTRACE", "1")
        .spawn()?;
    let mut ended = HashMap::new();
    wait_for("tests", &tests, &mut ended)?;
    let Some(mut noise) = noise else {
        return Ok(());
    };
    if ended.contains_key(&Pid::from_child(&noise)) {
        return Err("the noise ended before the tests".into());
    }
    drop(noise.stdin.take());
    wait_for("noise", &noise, &mut ended)
}

/// Checks the number of possible CPUs, which depends on the machine and the kernel.
fn check_cpus(wanted: &str) -> Result<(), Box<dyn Error>> {
    let possible = parse_cpu_list(&fs::read("/sys/devices/system/cpu/possible")?)?.len();
    if possible == wanted.parse::<usize>()? {
        return Ok(());
    }
    Err(
        format!("{wanted} possible CPUs are wanted, and this machine and kernel have {possible}")
            .into(),
    )
}

/// Runs `collector doctor`: a fallback is accepted, a failure is not.
fn examine() -> Result<(), Box<dyn Error>> {
    let status = Command::new(COLLECTOR).arg("doctor").status()?;
    match status.code() {
        // 0: all works; 1: works with a fallback; 2: cannot work.
        Some(0 | 1) => Ok(()),
        _ => Err(format!("the doctor found that nothing works: {status}").into()),
    }
}

/// Waits for a child, reaps every orphan, and records the exit statuses.
fn wait_for(
    what: &str,
    child: &Child,
    ended: &mut HashMap<Pid, WaitStatus>,
) -> Result<(), Box<dyn Error>> {
    let pid = Pid::from_child(child);
    loop {
        if let Some(status) = ended.get(&pid) {
            return match (status.exit_status(), status.terminating_signal()) {
                (Some(0), _) => Ok(()),
                (Some(code), _) => Err(format!("the {what} ended with status {code}").into()),
                (None, signal) => Err(format!("the {what} were killed: {signal:?}").into()),
            };
        }
        if let Some((pid, status)) = wait(WaitOptions::empty())? {
            ended.entry(pid).or_insert(status);
        }
    }
}
