//! The program that reads the CPUs, from the kernel's description to a program
//! that can be run.

use aya::{Ebpf, programs::RawTracePoint};
use collector_ebpf::CpuOffsets;

use super::{
    btf::Btf,
    cpu_offsets,
    cpu_reader::PROGRAM,
    loader::{program_of, refused},
};
use crate::source::read_kernel_file;

/// Where the fields are.
///
/// # Errors
///
/// Why the program cannot be had on this host.
pub(super) fn prepare(btf: &Btf) -> Result<CpuOffsets, String> {
    has_a_tick(&read("nohz_full"))?;
    has_no_gap(&read("possible"))?;
    cpu_offsets::resolve(btf)
}

/// Loads the program, which is attached to nothing.
///
/// # Errors
///
/// Why the kernel refuses it.
pub(super) fn load(ebpf: &mut Ebpf) -> Result<(), String> {
    let program: &mut RawTracePoint = program_of(ebpf, PROGRAM)?;
    program.load().map_err(|error| refused(&error))
}

fn read(list: &str) -> String {
    let text = read_kernel_file(&format!("/sys/devices/system/cpu/{list}"));
    text.map_or_else(
        |_unreadable| String::new(),
        |text| String::from_utf8_lossy(&text).into_owned(),
    )
}

/// On CPUs that run tasks without a tick, the kernel adds what is in flight
/// when it is asked (`kcpustat_cpu_fetch` of `kernel/sched/cputime.c`), which
/// the program does not.
fn has_a_tick(nohz_full: &str) -> Result<(), String> {
    match nohz_full.trim() {
        "" | "(null)" => Ok(()),
        cpus => Err(format!("CPUs {cpus} run tasks without a tick (nohz_full)")),
    }
}

/// A CPU that can never be there has no variables of its own.
fn has_no_gap(possible: &str) -> Result<(), String> {
    let possible = possible.trim();
    if possible == "0" || (possible.starts_with("0-") && !possible.contains(',')) {
        return Ok(());
    }
    Err(format!(
        "the numbers of the possible CPUs have gaps: {possible}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_cpus_that_are_not_understood_are_told_apart() {
        assert_eq!(has_a_tick(""), Ok(()), "no such file");
        assert_eq!(has_a_tick("\n"), Ok(()));
        assert_eq!(has_a_tick("  (null)\n"), Ok(()));
        assert!(has_a_tick("2-3\n").is_err());
        assert_eq!(has_no_gap("0\n"), Ok(()));
        assert_eq!(has_no_gap("0-255\n"), Ok(()));
        assert!(has_no_gap("0,2-3\n").is_err());
        assert!(has_no_gap("").is_err());
    }
}
