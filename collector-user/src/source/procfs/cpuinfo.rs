//! `/proc/cpuinfo`: vendor, model and flags of the CPUs. Its format depends on the
//! architecture. The topology comes from `/sys`, whose format does not.

mod arm;
mod riscv;
mod s390;

use std::sync::Arc;

use self::{arm::Midr, riscv::Hart};
use crate::source::parse;

/// One CPU of `/proc/cpuinfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuName {
    /// The CPU number.
    pub cpu: u32,
    /// The vendor.
    pub vendor: Option<Arc<str>>,
    /// The model; on Arm, where the kernel shows no names, the name of the core or the part
    /// number.
    pub model: Option<Arc<str>>,
    /// The stepping on x86; variant and revision (`r0p4`) on Arm; the revision on PowerPC
    /// and LoongArch.
    pub stepping: Option<Arc<str>>,
    /// The microcode version.
    pub microcode: Option<Arc<str>>,
}

/// The content of `/proc/cpuinfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuNames {
    /// The online CPUs.
    pub cpus: Vec<CpuName>,
    /// The flags of the first CPU.
    pub flags: Vec<Arc<str>>,
    /// Whether the first CPU has the flag `hypervisor`; `None` except on x86.
    pub hypervisor: Option<bool>,
    /// The platform of a PowerPC machine: `PowerNV`, `pSeries`.
    pub platform: Option<Arc<str>>,
    /// The machine, on PowerPC.
    pub machine: Option<Arc<str>>,
}

impl CpuNames {
    /// Whether the kernel is User Mode Linux.
    pub fn is_user_mode_linux(&self) -> bool {
        let vendor = self.cpus.first().and_then(|cpu| cpu.vendor.as_deref());
        vendor.is_some_and(|vendor| vendor.starts_with("User Mode Linux"))
    }
}

/// Parses `/proc/cpuinfo`. Unknown lines are skipped, and so are values that the kernel
/// shows as `unknown`.
pub fn parse(bytes: &[u8]) -> CpuNames {
    let mut names = CpuNames::default();
    let mut vendor_of_all = None;
    let (mut midr, mut hart) = (Midr::default(), Hart::default());
    for (_, line) in parse::lines(bytes) {
        let Some((key, value)) = parse::key_value(line) else {
            continue;
        };
        if key == b"processor" {
            midr.name(names.cpus.last_mut());
            hart.name(names.cpus.last_mut());
            (midr, hart) = (Midr::default(), Hart::default());
            if let Some(cpu) = parse::number(value) {
                names.cpus.push(CpuName {
                    cpu,
                    ..CpuName::default()
                });
            }
            continue;
        }
        if let Some(cpu) = s390::parse_processor(key, value) {
            names.cpus.push(CpuName {
                vendor: vendor_of_all.clone(),
                ..cpu
            });
            continue;
        }
        let text = || known(value);
        match key {
            b"platform" => names.platform = text(),
            b"machine" => names.machine = text(),
            // s390 has one line for all CPUs.
            b"features" if names.cpus.is_empty() => names.flags = flags(value),
            b"vendor_id" if names.cpus.is_empty() => vendor_of_all = text(),
            _ => {}
        }
        let is_first = names.cpus.len() == 1;
        let Some(cpu) = names.cpus.last_mut() else {
            continue;
        };
        match key {
            b"vendor_id" => cpu.vendor = text(),
            b"model name" | b"cpu model" => cpu.model = text(),
            b"Model Name" => {
                cpu.model = text();
                let model = cpu.model.as_deref();
                if model.is_some_and(|model| model.starts_with("Loongson")) {
                    cpu.vendor = Some("Loongson".into());
                }
            }
            b"cpu" => powerpc(cpu, value),
            b"stepping" | b"CPU Revision" => cpu.stepping = text(),
            // The processor version register follows.
            b"revision" => cpu.stepping = parse::words(value).next().and_then(known),
            b"microcode" => cpu.microcode = text(),
            b"CPU implementer" => midr.implementer = hexadecimal(value),
            b"CPU variant" => midr.variant = hexadecimal(value),
            b"CPU part" => midr.part = hexadecimal(value),
            b"CPU revision" => midr.revision = parse::number(value),
            b"uarch" => hart.microarchitecture = text(),
            b"mvendorid" => hart.vendor = hexadecimal(value),
            b"marchid" => hart.architecture = hexadecimal(value),
            b"isa" if is_first => names.flags = riscv::extensions(&parse::text(value)),
            b"flags" | b"Features" if is_first => {
                names.flags = flags(value);
                if key == b"flags" {
                    names.hypervisor = Some(names.flags.iter().any(|flag| **flag == *"hypervisor"));
                }
            }
            _ => {}
        }
    }
    midr.name(names.cpus.last_mut());
    hart.name(names.cpus.last_mut());
    names
}

fn flags(value: &[u8]) -> Vec<Arc<str>> {
    parse::words(value)
        .map(|flag| parse::text(flag).into())
        .collect()
}

/// A text; `None` if it is empty or `unknown`.
fn known(value: &[u8]) -> Option<Arc<str>> {
    let text = parse::text(value);
    let is_known = !text.is_empty() && !text.eq_ignore_ascii_case("unknown");
    is_known.then(|| text.into())
}

/// PowerPC: `POWER9 (architected), altivec supported`.
fn powerpc(cpu: &mut CpuName, value: &[u8]) {
    let Some(text) = known(value) else { return };
    let model = text.split(", ").next().unwrap_or(&text);
    if model.starts_with("POWER") || model.starts_with("PPC970") {
        cpu.vendor = Some("IBM".into());
    }
    cpu.model = Some(model.into());
}

/// A hexadecimal number with the prefix `0x`.
fn hexadecimal<T: TryFrom<u64>>(word: &[u8]) -> Option<T> {
    let digits = str::from_utf8(word).ok()?.strip_prefix("0x")?;
    T::try_from(u64::from_str_radix(digits, 16).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_x86_cpu_has_a_name() {
        let names = parse(
            b"processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\n\
              microcode\t: 0x1000065\nflags\t\t: fpu hypervisor\n\nprocessor\t: 3\n\
              model name\t: AMD EPYC\nflags\t\t: fpu vme\n\n",
        );
        assert_eq!(names.cpus.len(), 2);
        assert_eq!(names.cpus[1].cpu, 3);
        assert_eq!(names.cpus[0].model.as_deref(), Some("AMD EPYC"));
        assert_eq!(names.flags.len(), 2);
        assert_eq!(names.hypervisor, Some(true));
    }

    #[test]
    fn an_arm_core_is_identified_by_its_part_number() {
        let names = parse(
            b"processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n\
              CPU variant\t: 0x4\nCPU part\t: 0xd0b\nCPU revision\t: 1\n\n\
              processor\t: 1\nCPU implementer\t: 0x99\nCPU part\t: 0x001\n",
        );
        assert_eq!(names.cpus[0].vendor.as_deref(), Some("Arm"));
        assert_eq!(names.cpus[0].model.as_deref(), Some("Cortex-A76"));
        assert_eq!(names.cpus[0].stepping.as_deref(), Some("r4p1"));
        assert_eq!(names.cpus[1].vendor.as_deref(), Some("implementer 0x99"));
        assert_eq!(names.cpus[1].model.as_deref(), Some("part 0x001"));
        assert_eq!(names.hypervisor, None);
    }

    /// Vendor, model and stepping of the first CPU.
    fn first(cpuinfo: &str) -> [Option<String>; 3] {
        let names = parse(cpuinfo.as_bytes());
        let cpu = names.cpus.first().cloned().unwrap_or_default();
        [cpu.vendor, cpu.model, cpu.stepping].map(|text| text.map(|text| text.to_string()))
    }

    fn some(texts: [&str; 3]) -> [Option<String>; 3] {
        texts.map(|text| (!text.is_empty()).then(|| text.to_owned()))
    }

    #[test]
    fn arm_cores_of_each_implementer_have_names() {
        for (implementer, part, expected) in [
            (0x41, 0xd0c, ["Arm", "Neoverse-N1", "r3p1"]),
            (0x41, 0xd4f, ["Arm", "Neoverse-V2", "r3p1"]),
            (0x41, 0xfff, ["Arm", "part 0xfff", "r3p1"]),
            (0x61, 0x023, ["Apple", "Firestorm (M1)", "r3p1"]),
            (0x51, 0x001, ["Qualcomm", "Oryon", "r3p1"]),
            (0xc0, 0xac3, ["Ampere", "Ampere-1", "r3p1"]),
            (0x46, 0x001, ["Fujitsu", "A64FX", "r3p1"]),
            (0x4e, 0x004, ["NVIDIA", "Carmel", "r3p1"]),
            (0x48, 0xd01, ["HiSilicon", "TSV110", "r3p1"]),
            (0x43, 0x0af, ["Cavium", "ThunderX2", "r3p1"]),
            (0x53, 0x002, ["Samsung", "Exynos M3", "r3p1"]),
            (0x42, 0x100, ["Broadcom", "Brahma-B53", "r3p1"]),
            (0x6d, 0xd49, ["Microsoft", "Azure Cobalt 100", "r3p1"]),
            (0x69, 0x411, ["Intel", "PXA27x", "r3p1"]),
        ] {
            let cpuinfo = format!(
                "processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: {implementer:#04x}\n\
                 CPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: {part:#05x}\nCPU revision\t: 1\n"
            );
            assert_eq!(first(&cpuinfo), some(expected));
        }
        let compat = "processor\t: 0\nmodel name\t: ARMv7 Processor rev 4 (v7l)\n\
                      CPU implementer\t: 0x41\nCPU part\t: 0xd03\n";
        assert_eq!(first(compat), some(["Arm", "Cortex-A53", ""]));
    }

    #[test]
    fn a_riscv_hart_is_named_by_its_device_tree_or_its_registers() {
        let hart = |lines: &str| {
            format!("processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64imafdc_zicsr\n{lines}")
        };
        let sifive =
            "uarch\t\t: sifive,u74-mc\nmvendorid\t: 0x489\nmarchid\t\t: 0x8000000000000007\n";
        assert_eq!(first(&hart(sifive)), some(["SiFive", "sifive,u74-mc", ""]));
        let thead = "mvendorid\t: 0x5b7\nmarchid\t\t: 0x0\n";
        assert_eq!(first(&hart(thead)), some(["T-Head", "", ""]));
        let unnamed = "uarch\t: riscv\nmvendorid\t: 0x999\nmarchid\t: 0x8000000000000001\n";
        let expected = ["vendor 0x999", "architecture 0x8000000000000001", ""];
        assert_eq!(first(&hart(unnamed)), some(expected));
        assert_eq!(
            first(&hart("mvendorid\t: 0x0\nmarchid\t: 0x2a\n")),
            some(["", "QEMU", ""])
        );
        let flags = parse(hart("").as_bytes()).flags;
        assert_eq!(flags, ["rv64imafdc".into(), "zicsr".into()]);
    }

    #[test]
    fn an_s390_cpu_is_named_by_its_machine_type() {
        let cpuinfo = "vendor_id       : IBM/S390\n# processors    : 2\nbogomips per cpu: 3241.00\n\
                       max thread id   : 0\nfeatures\t: esan3 zarch stfle\nfacilities      : 0 1 2\n\
                       processor 0: version = FF,  identification = 0133E8,  machine = 3931\n\
                       processor 1: version = FF,  identification = 0133E8,  machine = 1234\n\n\
                       cpu number      : 0\nversion         : FF\nmachine         : 3931\n";
        assert_eq!(first(cpuinfo), some(["IBM/S390", "z16", ""]));
        let names = parse(cpuinfo.as_bytes());
        assert_eq!(names.cpus.len(), 2);
        assert_eq!(names.cpus[1].cpu, 1);
        assert_eq!(names.cpus[1].model.as_deref(), Some("machine 1234"));
        assert_eq!(names.flags.len(), 3);
    }

    #[test]
    fn a_powerpc_and_a_loongarch_cpu_have_names() {
        let power = "processor\t: 0\ncpu\t\t: POWER9 (architected), altivec supported\n\
                     clock\t\t: 2200.000000MHz\nrevision\t: 2.2 (pvr 004e 1202)\n\n\
                     timebase\t: 512000000\nplatform\t: pSeries\nmodel\t\t: IBM,9008-22L\n\
                     machine\t\t: CHRP IBM,9008-22L\n";
        assert_eq!(first(power), some(["IBM", "POWER9 (architected)", "2.2"]));
        let names = parse(power.as_bytes());
        assert_eq!(names.platform.as_deref(), Some("pSeries"));
        assert_eq!(names.machine.as_deref(), Some("CHRP IBM,9008-22L"));
        let loongarch = "system type\t\t: generic-loongson-machine\n\nprocessor\t\t: 0\n\
                         package\t\t\t: 0\nCPU Family\t\t: Loongson-64bit\n\
                         Model Name\t\t: Loongson-3A5000\nCPU Revision\t\t: 0x10\n\
                         Features\t\t: cpucfg lam ual\n";
        assert_eq!(
            first(loongarch),
            some(["Loongson", "Loongson-3A5000", "0x10"])
        );
        assert_eq!(parse(loongarch.as_bytes()).flags.len(), 3);
        assert_eq!(parse(loongarch.as_bytes()).hypervisor, None);
    }

    #[test]
    fn a_value_that_the_kernel_shows_as_unknown_is_unknown() {
        let unknown = "processor\t: 0\nvendor_id\t: unknown\nmodel name\t: unknown\n\
                       stepping\t: unknown\nmicrocode\t: \n";
        assert_eq!(first(unknown), [None, None, None]);
        assert_eq!(parse(unknown.as_bytes()).cpus[0].microcode, None);
    }

    #[test]
    fn garbage_gives_no_cpus() {
        assert_eq!(parse(b""), CpuNames::default());
        assert_eq!(parse(b"\xff\n:::\nprocessor: x\n"), CpuNames::default());
    }
}
