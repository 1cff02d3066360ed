//! RISC-V: the registers `mvendorid` and `marchid`, and the microarchitecture in the device
//! tree.

use std::sync::Arc;

use super::CpuName;

/// The identification of a hart.
#[derive(Default)]
pub(super) struct Hart {
    pub(super) microarchitecture: Option<Arc<str>>,
    pub(super) vendor: Option<u64>,
    pub(super) architecture: Option<u64>,
}

/// The JEDEC numbers in `mvendorid`; 0 is a non-commercial implementation:
/// <https://github.com/torvalds/linux/blob/v6.12/arch/riscv/include/asm/vendorid_list.h>.
const VENDORS: &[(u64, &str)] = &[
    (0x029, "Microchip"),
    (0x127, "MIPS"),
    (0x31e, "Andes"),
    (0x489, "SiFive"),
    (0x5b7, "T-Head"),
    (0x61f, "Ventana"),
    (0x710, "SpacemiT"),
];

/// The numbers in `marchid` of open-source cores, which have no vendor:
/// <https://github.com/riscv/riscv-isa-manual/blob/main/marchid.md>.
const OPEN_CORES: &[(u64, &str)] = &[
    (1, "Rocket"),
    (2, "BOOM"),
    (3, "CVA6"),
    (4, "CV32E40P"),
    (5, "Spike"),
    (25, "XiangShan"),
    (42, "QEMU"),
];

impl Hart {
    /// Sets vendor and model of a CPU.
    pub(super) fn name(&self, cpu: Option<&mut CpuName>) {
        let Some(cpu) = cpu else { return };
        let vendor = self.vendor.filter(|&vendor| vendor != 0);
        if let Some(vendor) = vendor {
            let row = VENDORS.iter().find(|row| row.0 == vendor);
            cpu.vendor = Some(match row {
                Some(&(_, name)) => name.into(),
                None => format!("vendor {vendor:#x}").into(),
            });
        }
        let number = self.architecture.filter(|&number| number != 0);
        let by_number = || {
            let number = number?;
            let row = OPEN_CORES.iter().find(|row| row.0 == number);
            Some(match row.filter(|_| vendor.is_none()) {
                Some(&(_, name)) => name.into(),
                None => format!("architecture {number:#x}").into(),
            })
        };
        // `riscv` is the generic value.
        let named = self.microarchitecture.clone();
        let named = named.filter(|name| **name != *"riscv");
        cpu.model = cpu.model.take().or(named).or_else(by_number);
    }
}

/// The parts of an ISA string: `rv64imafdc_zicsr_zba`.
pub(super) fn extensions(isa: &str) -> Vec<Arc<str>> {
    isa.split('_').map(Arc::from).collect()
}
