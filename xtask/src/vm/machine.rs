//! The virtual machine: QEMU and its accelerator.

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

/// Kernels from 6.12 on panic or hang at random under TCG of older releases.
const OLDEST_QEMU: u32 = 9;

/// The kernel command line.
///
/// `panic=-1`: reboot at once after a panic, which ends the machine.
/// `tsc=reliable`: the TSC of all vCPUs is that of the host. Without it the kernel
/// may mark the TSC unstable and fall back to jiffies of 4 ms.
const fn command_line(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86 => "console=ttyS0 panic=-1 tsc=reliable quiet",
        Architecture::Arm => "console=ttyAMA0 panic=-1 quiet",
    }
}

/// Number of online CPUs of a guest.
pub(crate) const CPUS_ON: u32 = 2;

/// The valid range of `--possible-cpus`; more than 256 has not been tried.
pub(crate) fn possible_cpus() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(i64::from(CPUS_ON)..=256)
}

/// How the guest's instructions are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// Hardware virtualization.
    Kvm,
    /// Emulation: ten to twenty times slower, and available everywhere.
    Tcg,
}

impl Accelerator {
    /// Its name in QEMU.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// KVM if a guest boots with it on this machine, else TCG. An open of `/dev/kvm`
    /// is not enough: with nested virtualization, guests may hang in early boot.
    ///
    /// `initramfs` holds no tests, so that its init powers off at once.
    ///
    /// # Errors
    /// When the result cannot be saved for the next run.
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
        // The result is valid until the host reboots.
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let path = workspace::target().join("vm/accelerator");
        let proofs = [Self::Kvm, Self::Tcg].map(|each| (each, format!("{} {boot}", each.name())));
        let kept = fs::read_to_string(&path).unwrap_or_default();
        if let Some((accelerator, _)) = proofs.iter().find(|(_, text)| *text == kept) {
            return Ok(*accelerator);
        }
        println!("checking whether a guest boots with KVM");
        let timeout = Duration::from_secs(20);
        let limits = Limits {
            boot: timeout,
            total: timeout,
            silence: timeout,
        };
        let proof = start(kernel, initramfs, Self::Kvm, CPUS_ON, Stdio::null())
            .and_then(|mut machine| console::follow(&mut machine, limits, None));
        let [kvm, tcg] = proofs;
        let (accelerator, text) = if proof.is_ok() { kvm } else { tcg };
        println!("guests run with {}", accelerator.name());
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(accelerator)
    }
}

/// Starts a machine. Its console is the child's standard output, and QEMU's own
/// messages go to `stderr`.
///
/// # Errors
/// When QEMU cannot be started.
pub(crate) fn start(
    kernel: &Kernel,
    initramfs: &Path,
    accelerator: Accelerator,
    possible_cpus: u32,
    stderr: Stdio,
) -> Result<Child> {
    let architecture = kernel.architecture;
    let mut qemu = Command::new(architecture.qemu());
    match architecture {
        Architecture::X86 => give_x86(&mut qemu, accelerator, possible_cpus),
        Architecture::Arm => give_arm(&mut qemu, accelerator),
    }
    let command_line = command_line(architecture);
    let (memory, command_line) = if possible_cpus > CPUS_ON {
        // The kernel uses about 250 KiB a possible CPU, and the maps as much.
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
        .stderr(stderr);
    qemu.spawn()
        .with_context(|| format!("cannot start `{}`", command::show(&qemu)))
}

/// A PC. CPUs above `maxcpus` stay halted, and cost the host only memory.
///
/// They are present, not hotpluggable: since this commit, which was backported, the
/// kernel counts absent CPUs as possible only under a hypervisor that it knows, and
/// TCG is none:
/// <https://git.kernel.org/tip/1c7ac68c05bc0327d725dd10aa05f5120f868250>
///
/// An APIC ID above 254 needs x2APIC and interrupt remapping by an IOMMU. With KVM
/// that needs the split irqchip.
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

/// QEMU's `virt` machine, which supports 256 CPUs.
fn give_arm(qemu: &mut Command, accelerator: Accelerator) {
    // QEMU's own algorithm for pointer authentication is cheaper to emulate:
    // https://www.qemu.org/docs/master/system/arm/cpu-features.html
    let cpu = match accelerator {
        Accelerator::Kvm => "max",
        Accelerator::Tcg => "max,pauth-impdef=on",
    };
    qemu.args(["-machine", "virt,gic-version=3", "-cpu", cpu])
        .args(["-accel", accelerator.name()]);
}

/// Checks that QEMU for an architecture is installed and new enough.
///
/// # Errors
/// When it is not, with the command that installs it.
pub(crate) fn check(architecture: Architecture) -> Result<()> {
    let advice = if architecture.is_of_this_machine() {
        "run `cargo xtask setup --for test`"
    } else {
        "run `cargo xtask setup --for all-kernels`"
    };
    let qemu = architecture.qemu();
    if command::which(&qemu).is_none() {
        bail!("{qemu} is not on PATH; {advice}");
    }
    let text = command::output(Command::new(&qemu).arg("--version"))?;
    let (_, version) = text.split_once("version ").unwrap_or_default();
    match major(version) {
        Some(version) if version >= OLDEST_QEMU => Ok(()),
        Some(version) => bail!(
            "QEMU {version} is too old: new kernels panic at random under its TCG, and \
             {OLDEST_QEMU} or later is needed; {advice}"
        ),
        None => bail!("`{qemu} --version` prints no version"),
    }
}

/// Whether a package of `version` (`1:10.0.2+ds-2+deb13u1`) is new enough.
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
