//! The programs that tests run: an emulator, a guest's shell, a load, and those
//! that look at system calls and at run queues.

use anyhow::{Context as _, Result};

use crate::apt::{Apt, codename, own_suites};
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

/// Installs what is missing of the other programs.
///
/// # Errors
/// When a package cannot be had.
pub(super) fn bring() -> Result<()> {
    let mut packages = Vec::new();
    if vm::check_busybox().is_err() {
        packages.push("busybox-static");
    }
    let qemu = vm::check_qemu();
    if packages.is_empty() && qemu.is_ok() {
        println!("QEMU and busybox: there already");
        return Ok(());
    }

    let advice = "install QEMU 9 or later (qemu-system-x86_64), and a busybox that is linked \
                  statically";
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
    println!("QEMU and busybox: there now");
    Ok(())
}
