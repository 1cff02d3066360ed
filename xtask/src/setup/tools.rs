//! The programs that tests run: an emulator, a guest's shell, a load, and one
//! that looks at system calls.

use anyhow::{Context as _, Result};

use crate::apt::{Apt, codename, own_suites};
use crate::{command, vm};

/// Installs strace if it is missing: tests on this host need it.
///
/// # Errors
/// When the package cannot be had.
pub(super) fn bring_for_host() -> Result<()> {
    if command::which("strace").is_some() {
        println!("strace: there already");
        return Ok(());
    }
    println!("installing strace");
    let apt = Apt::open("own", &own_suites()).context("install strace")?;
    apt.install(&["strace"], None).context("install strace")?;
    println!("strace: there now");
    Ok(())
}

/// Installs what is missing of the other programs.
///
/// # Errors
/// When a package cannot be had.
pub(super) fn bring() -> Result<()> {
    let mut packages = Vec::new();
    if vm::check_busybox().is_err() {
        packages.push("busybox-static");
    }
    if command::which("stress-ng").is_none() {
        packages.push("stress-ng");
    }
    let qemu = vm::check_qemu();
    if packages.is_empty() && qemu.is_ok() {
        println!("QEMU, busybox and stress-ng: there already");
        return Ok(());
    }

    let advice = "install QEMU 9 or later (qemu-system-x86_64), a busybox that is linked \
                  statically, and stress-ng";
    let apt = Apt::open("own", &own_suites()).context(advice)?;
    if !packages.is_empty() {
        println!("installing {}", packages.join(", "));
        apt.install(&packages, None).context(advice)?;
    }
    if qemu.is_err() {
        println!("installing QEMU");
        // Debian 12's own is too old, its backports' is not. Elsewhere the
        // newest version is what is installed anyway.
        let backports = codename().map(|codename| format!("{codename}-backports"));
        let stock = apt
            .versions("qemu-system-x86")?
            .iter()
            .filter(|version| !version.contains("~bpo"))
            .any(|version| vm::is_new_enough(version));
        let suite = backports.as_deref().filter(|_| !stock);
        apt.install(&["qemu-system-x86"], suite).context(advice)?;
        vm::check_qemu()?;
    }
    println!("QEMU, busybox and stress-ng: there now");
    Ok(())
}
