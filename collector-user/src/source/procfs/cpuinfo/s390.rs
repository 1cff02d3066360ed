//! s390: the machine type identifies the generation.

use std::sync::Arc;

use super::CpuName;
use crate::source::parse;

/// The machine types: `setup_elf_platform()` of
/// <https://github.com/torvalds/linux/blob/v6.12/arch/s390/kernel/processor.c#L255>.
const MACHINES: &[(&str, &str)] = &[
    ("2064", "z900"),
    ("2066", "z800"),
    ("2084", "z990"),
    ("2086", "z890"),
    ("2094", "z9 EC"),
    ("2096", "z9 BC"),
    ("2097", "z10 EC"),
    ("2098", "z10 BC"),
    ("2817", "z196"),
    ("2818", "z114"),
    ("2827", "zEC12"),
    ("2828", "zBC12"),
    ("2964", "z13"),
    ("2965", "z13s"),
    ("3906", "z14"),
    ("3907", "z14 ZR1"),
    ("3931", "z16"),
    ("3932", "z16 A02"),
    ("8561", "z15"),
    ("8562", "z15 T02"),
    ("9175", "z17"),
];

/// A line `processor N: version = 00,  identification = 0133E8,  machine = 3931`.
pub(super) fn parse_processor(key: &[u8], value: &[u8]) -> Option<CpuName> {
    let cpu = parse::number(key.strip_prefix(b"processor ")?)?;
    let machine = value.split(|&byte| byte == b',').find_map(|field| {
        let at = field.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (field[..at].trim_ascii(), field[at + 1..].trim_ascii());
        (name == b"machine").then(|| parse::text(value).into_owned())
    });
    let model = machine.map(|machine| -> Arc<str> {
        match MACHINES.iter().find(|row| *row.0 == *machine) {
            Some(&(_, name)) => name.into(),
            None => format!("machine {machine}").into(),
        }
    });
    Some(CpuName {
        cpu,
        model,
        ..CpuName::default()
    })
}
