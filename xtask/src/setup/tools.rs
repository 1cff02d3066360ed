//! The programs that tests run: QEMU, busybox, cross compilers, stress-ng, strace
//! and runqlat.

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;

use crate::apt::{Apt, codename, own_suites};
use crate::architecture::Architecture;
use crate::{command, vm};

/// Programs that the tests on this host run, each with its package.
const OF_HOST: [(&str, &str); 3] = [
    ("strace", "strace"),
    ("stress-ng", "stress-ng"),
    ("runqlat", "libbpf-tools"),
];

/// Installs what is missing of strace, stress-ng and runqlat, which tests on this
/// host need.
///
/// # Errors
/// When a package cannot be installed.
pub(super) fn bring_for_host() -> Result<()> {
    let missing: Vec<&str> = OF_HOST
        .iter()
        .filter(|(program, _)| command::which(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        println!("strace, stress-ng and runqlat: installed already");
        return Ok(());
    }
    let advice = "install strace, stress-ng, and runqlat of libbpf-tools";
    println!("installing {}", missing.join(", "));
    let apt = Apt::open("own", &own_suites()).context(advice)?;
    apt.install(&missing, None).context(advice)?;
    println!("strace, stress-ng and runqlat: installed");
    Ok(())
}

/// Installs what is missing for guests of this machine's architecture.
///
/// # Errors
/// When a package cannot be installed.
pub(super) fn bring_for_guests() -> Result<()> {
    bring(&[Architecture::of_this_machine()?])
}

/// Installs what is missing for guests of all architectures.
///
/// # Errors
/// When a package cannot be installed.
pub(super) fn bring_for_all_guests() -> Result<()> {
    bring(Architecture::value_variants())
}

fn bring(architectures: &[Architecture]) -> Result<()> {
    let mut packages: Vec<String> = Vec::new();
    if vm::check_busybox().is_err() {
        packages.push("busybox-static".to_owned());
    }
    for architecture in architectures {
        if architecture.check_tools().is_err() {
            packages.extend(architecture.tool_packages());
        }
    }
    let emulators: Vec<Architecture> = architectures
        .iter()
        .copied()
        .filter(|architecture| vm::check_qemu(*architecture).is_err())
        .collect();
    if packages.is_empty() && emulators.is_empty() {
        println!("QEMU, busybox and cross compilers: installed already");
        return Ok(());
    }

    let advice = "install QEMU 9 or later (qemu-system-x86_64, qemu-system-aarch64), a statically \
                  linked busybox, and gcc with its C library for the architecture of the guests";
    let apt = Apt::open("own", &own_suites()).context(advice)?;
    if !packages.is_empty() {
        println!("installing {}", packages.join(", "));
        let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
        apt.install(&packages, None).context(advice)?;
    }
    // QEMU of Debian 12 is too old, that of its backports is not. Other releases
    // install the newest version by default.
    let backports = codename().map(|codename| format!("{codename}-backports"));
    for architecture in emulators {
        let package = architecture.qemu_package();
        println!("installing QEMU for {architecture}");
        let stock = apt
            .versions(package)?
            .iter()
            .filter(|version| !version.contains("~bpo"))
            .any(|version| vm::is_new_enough(version));
        let suite = backports.as_deref().filter(|_| !stock);
        apt.install(&[package], suite).context(advice)?;
        vm::check_qemu(architecture)?;
    }
    println!("QEMU, busybox and cross compilers: installed");
    Ok(())
}
