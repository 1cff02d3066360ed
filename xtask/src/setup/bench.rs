//! What `cargo xtask bench tier3` runs: loads, and programs to compare with.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::apt::{Apt, own_suites};
use crate::{command, workspace};

/// Programs that are installed, with the package that has each.
const INSTALLED: [(&str, &str); 3] = [
    ("perf", "linux-perf"),
    ("hackbench", "rt-tests"),
    ("stress-ng", "stress-ng"),
];

/// Programs whose packages begin services or timers when they are installed,
/// so that these are only unpacked: the machine stays as it is.
const UNPACKED: [(&str, &str); 4] = [
    ("prometheus-process-exporter", "prometheus-process-exporter"),
    ("prometheus-node-exporter", "prometheus-node-exporter"),
    ("pidstat", "sysstat"),
    ("atop", "atop"),
];

/// Where the programs are that were unpacked.
pub(crate) fn unpacked_programs() -> PathBuf {
    folder().join("usr/bin")
}

fn folder() -> PathBuf {
    workspace::target().join("bench-tools")
}

/// Brings what is missing.
///
/// # Errors
/// When a package cannot be had.
pub(super) fn bring() -> Result<()> {
    let install: Vec<&str> = INSTALLED
        .iter()
        .filter(|(program, _package)| command::which(program).is_none())
        .map(|(_program, package)| *package)
        .collect();
    let unpack: Vec<&str> = UNPACKED
        .iter()
        .filter(|(program, _package)| !unpacked_programs().join(program).is_file())
        .map(|(_program, package)| *package)
        .collect();
    if install.is_empty() && unpack.is_empty() {
        println!("what tier3 is compared with: there already");
        return Ok(());
    }
    let advice = "install perf, hackbench and stress-ng; and to compare with others \
                  prometheus-process-exporter, prometheus-node-exporter, sysstat and atop";
    let apt = Apt::open("own", &own_suites()).context(advice)?;
    if !install.is_empty() {
        println!("installing {}", install.join(", "));
        apt.install(&install, None).context(advice)?;
    }
    for package in unpack {
        println!("unpacking {package}");
        apt.unpack(package, &folder()).context(advice)?;
    }
    println!("what tier3 is compared with: there now");
    Ok(())
}
