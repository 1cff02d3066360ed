//! The virtual machine: QEMU, and what accelerates it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::builder::RangedI64ValueParser;

use super::console::{self, Limits};
use super::kernel::Kernel;
use crate::architecture::Architecture;
use crate::{command, workspace};

/// Under the emulation of older releases, kernels from 6.12 on panic or hang at
/// random.
const OLDEST_QEMU: u32 = 9;

/// What kernels are told.
///
/// `panic=-1`: at once after a panic, a reboot, which ends the machine.
/// `tsc=reliable`: the clocks of the guest's processors are one, the host's;
/// kernels doubt that, and then may count time in ticks of 4 ms.
const fn command_line(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86 => "console=ttyS0 panic=-1 tsc=reliable quiet",
        Architecture::Arm => "console=ttyAMA0 panic=-1 quiet",
    }
}

/// How many CPUs a guest switches on.
pub(crate) const CPUS_ON: u32 = 2;

/// How many CPUs may be asked for; more were not tried.
pub(crate) fn possible_cpus() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(i64::from(CPUS_ON)..=256)
}

/// What runs the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// The processor itself.
    Kvm,
    /// Emulation: ten to twenty times slower, and had everywhere.
    Tcg,
}

impl Accelerator {
    /// As QEMU names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// KVM if a guest gets through a boot with it here, else emulation. That
    /// `/dev/kvm` can be opened proves little: inside of some virtual machines,
    /// guests then hang in early boot.
    ///
    /// `initramfs` is one whose first process finds no tests, and powers off.
    ///
    /// # Errors
    /// When the proof cannot be kept for the next run.
    pub(crate) fn choose(kernel: &Kernel, initramfs: &Path) -> Result<Self> {
        let is_kvm_here = kernel.architecture.is_of_this_machine()
            && File::options()
                .read(true)
                .write(true)
                .open("/dev/kvm")
                .is_ok();
        if !is_kvm_here {
            return Ok(Self::Tcg);
        }
        // The answer stands until the host is booted again.
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let path = workspace::target().join("vm/accelerator");
        let proofs = [Self::Kvm, Self::Tcg].map(|each| (each, format!("{} {boot}", each.name())));
        let kept = fs::read_to_string(&path).unwrap_or_default();
        if let Some((accelerator, _)) = proofs.iter().find(|(_, text)| *text == kept) {
            return Ok(*accelerator);
        }
        println!("trying whether a guest boots with KVM here");
        let patience = Duration::from_secs(20);
        let limits = Limits {
            boot: patience,
            total: patience,
            silence: patience,
        };
        let proof = start(kernel, initramfs, Self::Kvm, CPUS_ON, Stdio::null())
            .and_then(|mut machine| console::follow(&mut machine, limits, None));
        let [kvm, tcg] = proofs;
        let (accelerator, text) = if proof.is_ok() { kvm } else { tcg };
        println!("guests run with {} here", accelerator.name());
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(accelerator)
    }
}

/// Starts a machine whose console is the child's standard output, and whose
/// emulator writes to `complaints`.
///
/// # Errors
/// When QEMU cannot be started.
pub(crate) fn start(
    kernel: &Kernel,
    initramfs: &Path,
    accelerator: Accelerator,
    possible_cpus: u32,
    complaints: Stdio,
) -> Result<Child> {
    let architecture = kernel.architecture;
    let mut qemu = Command::new(architecture.qemu());
    match architecture {
        Architecture::X86 => give_x86(&mut qemu, accelerator, possible_cpus),
        Architecture::Arm => give_arm(&mut qemu, accelerator),
    }
    let command_line = command_line(architecture);
    let (memory, command_line) = if possible_cpus > CPUS_ON {
        // The kernel keeps some 250 KiB a possible CPU, and the maps as much.
        ("2048", format!("{command_line} maxcpus={CPUS_ON}"))
    } else {
        ("1024", command_line.to_owned())
    };
    qemu.args(["-smp", &possible_cpus.to_string(), "-m", memory])
        .args(["-nodefaults", "-no-user-config", "-no-reboot"])
        .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", &command_line])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(complaints);
    qemu.spawn()
        .with_context(|| format!("cannot start `{}`", command::show(&qemu)))
}

/// The machine is a PC. With more CPUs than the guest switches on (`maxcpus`),
/// those stay halted, and cost the host nothing but memory.
///
/// They are there, and not to be plugged in: newer kernels, and later builds of
/// older series, take CPUs that are not there for possible ones only under a
/// hypervisor that they know, which emulation is not:
/// <https://git.kernel.org/tip/1c7ac68c05bc0327d725dd10aa05f5120f868250>
///
/// A CPU above the 255th has a number that interrupts reach through an IOMMU
/// alone. With KVM, interrupts then have to be QEMU's own.
fn give_x86(qemu: &mut Command, accelerator: Accelerator, possible_cpus: u32) {
    qemu.args(["-cpu", "max"]);
    if possible_cpus == CPUS_ON {
        qemu.args(["-accel", accelerator.name()]);
        return;
    }
    let split = match accelerator {
        Accelerator::Kvm => ",kernel-irqchip=split",
        Accelerator::Tcg => "",
    };
    qemu.args(["-accel", &format!("{}{split}", accelerator.name())])
        .args(["-machine", "q35"])
        .args(["-device", "intel-iommu,intremap=on,eim=on"]);
}

/// The machine is one that QEMU made up, with as many CPUs as one likes.
fn give_arm(qemu: &mut Command, accelerator: Accelerator) {
    // A way to sign pointers that is QEMU's own, and cheaper to emulate:
    // https://www.qemu.org/docs/master/system/arm/cpu-features.html
    let cpu = match accelerator {
        Accelerator::Kvm => "max",
        Accelerator::Tcg => "max,pauth-impdef=on",
    };
    qemu.args(["-machine", "virt,gic-version=3", "-cpu", cpu])
        .args(["-accel", accelerator.name()]);
}

/// Whether QEMU is here for an architecture, and one that can be relied on.
///
/// # Errors
/// When it is not, with what to do.
pub(crate) fn check(architecture: Architecture) -> Result<()> {
    const MEND: &str = "run `cargo xtask setup --for test`";
    let qemu = architecture.qemu();
    if command::which(&qemu).is_none() {
        bail!("{qemu} is not on PATH; {MEND}");
    }
    let text = command::output(Command::new(&qemu).arg("--version"))?;
    let (_, version) = text.split_once("version ").unwrap_or_default();
    match major(version) {
        Some(version) if version >= OLDEST_QEMU => Ok(()),
        Some(version) => bail!(
            "QEMU {version} is too old, under its emulation new kernels panic at random: \
             {OLDEST_QEMU} or later is needed; {MEND}"
        ),
        None => bail!("`{qemu} --version` names no version"),
    }
}

/// Whether a package of `version` (`1:10.0.2+ds-2+deb13u1`) can be relied on.
pub(crate) fn is_new_enough(version: &str) -> bool {
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    major(upstream).is_some_and(|major| major >= OLDEST_QEMU)
}

/// The first number of a version.
fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{is_new_enough, major};

    #[test]
    fn a_package_is_judged_by_its_upstream_version() {
        assert!(is_new_enough("1:10.0.2+ds-2+deb13u1~bpo12+1"));
        assert!(!is_new_enough("1:7.2+dfsg-7+deb12u18"));
        assert!(!is_new_enough("unknown"));
    }

    #[test]
    fn the_major_version_is_the_first_number() {
        assert_eq!(major("10.0.2 (Debian 1:10.0.2+ds-2)"), Some(10));
        assert_eq!(major(""), None);
    }
}
