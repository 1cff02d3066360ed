//! What `cargo xtask bench tier3` runs: load generators, and programs to compare with.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::apt::{Apt, own_suites};
use crate::{command, workspace};

/// Programs that are installed, each with its package.
const INSTALLED: [(&str, &str); 3] = [
    ("perf", "linux-perf"),
    ("hackbench", "rt-tests"),
    ("stress-ng", "stress-ng"),
];

/// Programs whose packages start services or timers when installed, and so are only
/// unpacked.
const UNPACKED: [(&str, &str); 4] = [
    ("prometheus-process-exporter", "prometheus-process-exporter"),
    ("prometheus-node-exporter", "prometheus-node-exporter"),
    ("pidstat", "sysstat"),
    ("atop", "atop"),
];

/// The directory of the unpacked programs.
pub(crate) fn unpacked_programs() -> PathBuf {
    folder().join("usr/bin")
}

fn folder() -> PathBuf {
    workspace::target().join("bench-tools")
}

/// Installs or unpacks the programs that are missing.
///
/// # Errors
/// When a package cannot be downloaded.
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
        println!("programs for the benchmark tier3: installed already");
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
    println!("programs for the benchmark tier3: installed");
    Ok(())
}
