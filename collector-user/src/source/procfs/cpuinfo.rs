//! `/proc/cpuinfo`: the names of the CPUs. How they are packed is told by
//! `/sys`, on every architecture in the same way; this file is not.

use std::sync::Arc;

use crate::source::parse;

/// What `/proc/cpuinfo` says of one CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuName {
    /// Its number.
    pub cpu: u32,
    /// Who made it.
    pub vendor: Option<Arc<str>>,
    /// Its model; on arm64, where the kernel knows no names, its part and
    /// revision.
    pub model: Option<Arc<str>>,
    /// The version of its microcode.
    pub microcode: Option<Arc<str>>,
}

/// What `/proc/cpuinfo` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuNames {
    /// The CPUs that are online.
    pub cpus: Vec<CpuName>,
    /// What the first of them can do.
    pub flags: Vec<Arc<str>>,
    /// Whether the first of them says that it runs under a hypervisor; only
    /// x86 says that.
    pub hypervisor: Option<bool>,
}

/// Parses `/proc/cpuinfo`. What is not understood is left out.
pub fn parse(bytes: &[u8]) -> CpuNames {
    let mut names = CpuNames::default();
    let mut arm = ArmPart::default();
    for (_, line) in parse::lines(bytes) {
        let Some((key, value)) = parse::key_value(line) else {
            continue;
        };
        if key == b"processor" {
            arm.name(names.cpus.last_mut());
            arm = ArmPart::default();
            if let Some(cpu) = parse::number(value) {
                names.cpus.push(CpuName {
                    cpu,
                    ..CpuName::default()
                });
            }
            continue;
        }
        let first = names.cpus.len() == 1;
        let Some(cpu) = names.cpus.last_mut() else {
            continue;
        };
        let text = || Some(Arc::from(parse::text(value)));
        match key {
            b"vendor_id" => cpu.vendor = text(),
            b"model name" => cpu.model = text(),
            b"microcode" => cpu.microcode = text(),
            b"CPU implementer" => arm.implementer = hexadecimal(value),
            b"CPU variant" => arm.variant = hexadecimal(value),
            b"CPU part" => arm.part = hexadecimal(value),
            b"CPU revision" => arm.revision = parse::number(value),
            b"flags" | b"Features" if first => {
                names.flags = parse::words(value)
                    .map(|flag| parse::text(flag).into())
                    .collect();
                if key == b"flags" {
                    names.hypervisor = Some(names.flags.iter().any(|flag| **flag == *"hypervisor"));
                }
            }
            _ => {}
        }
    }
    arm.name(names.cpus.last_mut());
    names
}

/// The parts of the register `MIDR_EL1`, which tells one arm64 core from
/// another.
#[derive(Default)]
struct ArmPart {
    implementer: Option<u32>,
    variant: Option<u32>,
    part: Option<u32>,
    revision: Option<u32>,
}

impl ArmPart {
    fn name(&self, cpu: Option<&mut CpuName>) {
        let (Some(cpu), Some(implementer), Some(part)) = (cpu, self.implementer, self.part) else {
            return;
        };
        cpu.vendor = Some(match implementer_name(implementer) {
            Some(name) => name.into(),
            None => format!("implementer {implementer:#04x}").into(),
        });
        let revision = match (self.variant, self.revision) {
            (Some(variant), Some(revision)) => format!(" r{variant}p{revision}"),
            _ => String::new(),
        };
        cpu.model
            .get_or_insert_with(|| format!("part {part:#05x}{revision}").into());
    }
}

/// The numbers of implementers that the kernel knows:
/// <https://github.com/torvalds/linux/blob/v6.12/arch/arm64/include/asm/cputype.h#L53>.
fn implementer_name(implementer: u32) -> Option<&'static str> {
    Some(match implementer {
        0x41 => "Arm",
        0x42 => "Broadcom",
        0x43 => "Cavium",
        0x46 => "Fujitsu",
        0x48 => "HiSilicon",
        0x4e => "NVIDIA",
        0x50 => "APM",
        0x51 => "Qualcomm",
        0x61 => "Apple",
        0x6d => "Microsoft",
        0xc0 => "Ampere",
        _ => return None,
    })
}

fn hexadecimal(word: &[u8]) -> Option<u32> {
    let digits = str::from_utf8(word).ok()?.strip_prefix("0x")?;
    u32::from_str_radix(digits, 16).ok()
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
    fn an_arm_core_is_told_by_its_part() {
        let names = parse(
            b"processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n\
              CPU variant\t: 0x4\nCPU part\t: 0xd0b\nCPU revision\t: 1\n\n\
              processor\t: 1\nCPU implementer\t: 0x99\nCPU part\t: 0x001\n",
        );
        assert_eq!(names.cpus[0].vendor.as_deref(), Some("Arm"));
        assert_eq!(names.cpus[0].model.as_deref(), Some("part 0xd0b r4p1"));
        assert_eq!(names.cpus[1].vendor.as_deref(), Some("implementer 0x99"));
        assert_eq!(names.cpus[1].model.as_deref(), Some("part 0x001"));
        assert_eq!(names.hypervisor, None);
    }

    #[test]
    fn garbage_names_nothing() {
        assert_eq!(parse(b""), CpuNames::default());
        assert_eq!(parse(b"\xff\n:::\nprocessor: x\n"), CpuNames::default());
    }
}
