//! Names of Arm cores by the fields of `MIDR_EL1` in `/proc/cpuinfo`. The kernel has the
//! numbers, but shows no names:
//! <https://github.com/torvalds/linux/blob/v6.12/arch/arm64/include/asm/cputype.h#L53>.

use super::CpuName;

/// The fields of `MIDR_EL1` of one core.
#[derive(Default)]
pub(super) struct Midr {
    pub(super) implementer: Option<u32>,
    pub(super) variant: Option<u32>,
    pub(super) part: Option<u32>,
    pub(super) revision: Option<u32>,
}

impl Midr {
    /// Sets vendor, model and stepping of a CPU.
    pub(super) fn name(&self, cpu: Option<&mut CpuName>) {
        let (Some(cpu), Some(implementer), Some(part)) = (cpu, self.implementer, self.part) else {
            return;
        };
        let row = IMPLEMENTERS.iter().find(|row| row.0 == implementer);
        cpu.vendor = Some(match row {
            Some(&(_, vendor, _)) => vendor.into(),
            None => format!("implementer {implementer:#04x}").into(),
        });
        let core = row.and_then(|(_, _, parts)| parts.iter().find(|core| core.0 == part));
        // A 32-bit kernel shows a model, which is the architecture.
        cpu.model = match (core, cpu.model.take()) {
            (Some(&(_, name)), _) => Some(name.into()),
            (None, Some(model)) => Some(model),
            (None, None) => Some(format!("part {part:#05x}").into()),
        };
        if let (Some(variant), Some(revision)) = (self.variant, self.revision) {
            cpu.stepping = Some(format!("r{variant}p{revision}").into());
        }
    }
}

/// A part number, and the name of the core.
type Part = (u32, &'static str);

/// Implementers: number, name and cores.
const IMPLEMENTERS: &[(u32, &str, &[Part])] = &[
    (0x41, "Arm", ARM),
    (
        0x42,
        "Broadcom",
        &[
            (0x00f, "Brahma-B15"),
            (0x100, "Brahma-B53"),
            (0x516, "Vulcan"),
        ],
    ),
    (0x43, "Cavium", CAVIUM),
    (0x44, "DEC", &[(0xa10, "SA110"), (0xa11, "SA1100")]),
    (0x46, "Fujitsu", &[(0x001, "A64FX"), (0x003, "MONAKA")]),
    (0x48, "HiSilicon", HISILICON),
    (0x4e, "NVIDIA", NVIDIA),
    (0x50, "APM", &[(0x000, "X-Gene")]),
    (0x51, "Qualcomm", QUALCOMM),
    (0x53, "Samsung", SAMSUNG),
    (
        0x56,
        "Marvell",
        &[
            (0x131, "Feroceon 88FR131"),
            (0x581, "PJ4"),
            (0x584, "PJ4B-MP"),
        ],
    ),
    (0x61, "Apple", APPLE),
    (0x66, "Faraday", &[(0x526, "FA526"), (0x626, "FA626")]),
    (
        0x69,
        "Intel",
        &[
            (0x411, "PXA27x"),
            (0x682, "PXA32x"),
            (0x688, "PXA30x"),
            (0x689, "PXA31x"),
        ],
    ),
    (0x6d, "Microsoft", &[(0xd49, "Azure Cobalt 100")]),
    (0x70, "Phytium", PHYTIUM),
    (
        0xc0,
        "Ampere",
        &[
            (0xac3, "Ampere-1"),
            (0xac4, "Ampere-1A"),
            (0xac5, "Ampere-1B"),
        ],
    ),
];

const ARM: &[Part] = &[
    (0x926, "ARM926EJ-S"),
    (0xb36, "ARM1136"),
    (0xb76, "ARM1176"),
    (0xc05, "Cortex-A5"),
    (0xc07, "Cortex-A7"),
    (0xc08, "Cortex-A8"),
    (0xc09, "Cortex-A9"),
    (0xc0d, "Cortex-A12"),
    (0xc0e, "Cortex-A17"),
    (0xc0f, "Cortex-A15"),
    (0xd01, "Cortex-A32"),
    (0xd02, "Cortex-A34"),
    (0xd03, "Cortex-A53"),
    (0xd04, "Cortex-A35"),
    (0xd05, "Cortex-A55"),
    (0xd06, "Cortex-A65"),
    (0xd07, "Cortex-A57"),
    (0xd08, "Cortex-A72"),
    (0xd09, "Cortex-A73"),
    (0xd0a, "Cortex-A75"),
    (0xd0b, "Cortex-A76"),
    (0xd0c, "Neoverse-N1"),
    (0xd0d, "Cortex-A77"),
    (0xd0e, "Cortex-A76AE"),
    (0xd15, "Cortex-R82"),
    (0xd40, "Neoverse-V1"),
    (0xd41, "Cortex-A78"),
    (0xd42, "Cortex-A78AE"),
    (0xd43, "Cortex-A65AE"),
    (0xd44, "Cortex-X1"),
    (0xd46, "Cortex-A510"),
    (0xd47, "Cortex-A710"),
    (0xd48, "Cortex-X2"),
    (0xd49, "Neoverse-N2"),
    (0xd4a, "Neoverse-E1"),
    (0xd4b, "Cortex-A78C"),
    (0xd4c, "Cortex-X1C"),
    (0xd4d, "Cortex-A715"),
    (0xd4e, "Cortex-X3"),
    (0xd4f, "Neoverse-V2"),
    (0xd80, "Cortex-A520"),
    (0xd81, "Cortex-A720"),
    (0xd82, "Cortex-X4"),
    (0xd83, "Neoverse-V3AE"),
    (0xd84, "Neoverse-V3"),
    (0xd85, "Cortex-X925"),
    (0xd87, "Cortex-A725"),
    (0xd88, "Cortex-A520AE"),
    (0xd89, "Cortex-A720AE"),
    (0xd8a, "C1-Nano"),
    (0xd8b, "C1-Pro"),
    (0xd8c, "C1-Ultra"),
    (0xd8e, "Neoverse-N3"),
    (0xd8f, "Cortex-A320"),
    (0xd90, "C1-Premium"),
];

const CAVIUM: &[Part] = &[
    (0x0a0, "ThunderX"),
    (0x0a1, "ThunderX 88XX"),
    (0x0a2, "ThunderX 81XX"),
    (0x0a3, "ThunderX 83XX"),
    (0x0af, "ThunderX2"),
    (0x0b0, "OcteonTX2"),
    (0x0b1, "OcteonTX2 98XX"),
    (0x0b2, "OcteonTX2 96XX"),
    (0x0b3, "OcteonTX2 95XX"),
    (0x0b4, "OcteonTX2 95XXN"),
    (0x0b5, "OcteonTX2 95XXMM"),
    (0x0b6, "OcteonTX2 95XXO"),
    (0x0b8, "ThunderX3"),
];

const HISILICON: &[Part] = &[
    (0xd01, "TSV110"),
    (0xd02, "HIP09"),
    (0xd06, "HIP12"),
    (0xd40, "Cortex-A76"),
];

const NVIDIA: &[Part] = &[
    (0x000, "Denver"),
    (0x003, "Denver 2"),
    (0x004, "Carmel"),
    (0x010, "Olympus"),
];

const QUALCOMM: &[Part] = &[
    (0x001, "Oryon"),
    (0x00f, "Scorpion"),
    (0x02d, "Scorpion"),
    (0x04d, "Krait"),
    (0x06f, "Krait"),
    (0x201, "Kryo Silver"),
    (0x205, "Kryo Gold"),
    (0x211, "Kryo Silver"),
    (0x800, "Kryo 2xx Gold"),
    (0x801, "Kryo 2xx Silver"),
    (0x802, "Kryo 3xx Gold"),
    (0x803, "Kryo 3xx Silver"),
    (0x804, "Kryo 4xx Gold"),
    (0x805, "Kryo 4xx Silver"),
    (0xc00, "Falkor"),
    (0xc01, "Saphira"),
];

const SAMSUNG: &[Part] = &[
    (0x001, "Exynos M1"),
    (0x002, "Exynos M3"),
    (0x003, "Exynos M4"),
    (0x004, "Exynos M5"),
];

const APPLE: &[Part] = &[
    (0x020, "Icestorm (A14)"),
    (0x021, "Firestorm (A14)"),
    (0x022, "Icestorm (M1)"),
    (0x023, "Firestorm (M1)"),
    (0x024, "Icestorm (M1 Pro)"),
    (0x025, "Firestorm (M1 Pro)"),
    (0x028, "Icestorm (M1 Max)"),
    (0x029, "Firestorm (M1 Max)"),
    (0x030, "Blizzard (A15)"),
    (0x031, "Avalanche (A15)"),
    (0x032, "Blizzard (M2)"),
    (0x033, "Avalanche (M2)"),
    (0x034, "Blizzard (M2 Pro)"),
    (0x035, "Avalanche (M2 Pro)"),
    (0x038, "Blizzard (M2 Max)"),
    (0x039, "Avalanche (M2 Max)"),
];

const PHYTIUM: &[Part] = &[
    (0x303, "FTC310"),
    (0x660, "FTC660"),
    (0x661, "FTC661"),
    (0x662, "FTC662"),
    (0x663, "FTC663"),
    (0x664, "FTC664"),
    (0x862, "FTC862"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_number_is_listed_twice() {
        for (implementer, _, parts) in IMPLEMENTERS {
            let mut numbers: Vec<u32> = parts.iter().map(|part| part.0).collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), parts.len(), "{implementer:#x}");
        }
    }
}
