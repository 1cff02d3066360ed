//! The programs that tests run: emulators, a guest's shell and what builds for
//! it, a load, and those that look at system calls and at run queues.

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;

use crate::apt::{Apt, codename, own_suites};
use crate::architecture::Architecture;
use crate::{command, vm};

/// What the tests on this host run, with the package that has it.
const OF_HOST: [(&str, &str); 3] = [
    ("strace", "strace"),
    ("stress-ng", "stress-ng"),
    ("runqlat", "libbpf-tools"),
];

/// Installs what is missing of strace, stress-ng and runqlat: tests on this
/// host need them.
///
/// # Errors
/// When a package cannot be had.
pub(super) fn bring_for_host() -> Result<()> {
    let missing: Vec<&str> = OF_HOST
        .iter()
        .filter(|(program, _)| command::which(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        println!("strace, stress-ng and runqlat: there already");
        return Ok(());
    }
    let advice = "install strace, stress-ng, and runqlat of libbpf-tools";
    println!("installing {}", missing.join(", "));
    let apt = Apt::open("own", &own_suites()).context(advice)?;
    apt.install(&missing, None).context(advice)?;
    println!("strace, stress-ng and runqlat: there now");
    Ok(())
}

/// Installs what is missing of what the guests need.
///
/// # Errors
/// When a package cannot be had.
pub(super) fn bring() -> Result<()> {
    let mut packages: Vec<String> = Vec::new();
    if vm::check_busybox().is_err() {
        packages.push("busybox-static".to_owned());
    }
    let architectures = Architecture::value_variants();
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
        println!("QEMU, busybox and compilers for its guests: there already");
        return Ok(());
    }

    let advice = "install QEMU 9 or later (qemu-system-x86_64 and qemu-system-aarch64), a busybox \
                  that is linked statically, and gcc for both architectures with its C library";
    let apt = Apt::open("own", &own_suites()).context(advice)?;
    if !packages.is_empty() {
        println!("installing {}", packages.join(", "));
        let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
        apt.install(&packages, None).context(advice)?;
    }
    // Debian 12's own is too old, its backports' is not. Elsewhere the newest
    // version is what is installed anyway.
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
    println!("QEMU, busybox and compilers for its guests: there now");
    Ok(())
}
