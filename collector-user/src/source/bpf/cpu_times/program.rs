//! The program `read_cpus`: its offsets, and loading it.

use aya::{Ebpf, programs::RawTracePoint};
use collector_ebpf::CpuOffsets;

use super::{CpuTimesError, PROGRAM, offsets};
use crate::source::{
    bpf::load::{Btf, Refusal, program_of},
    read_kernel_file,
};

/// The offsets for the program.
///
/// # Errors
///
/// If the program cannot be used on this host.
pub(in crate::source::bpf) fn prepare(btf: &Btf) -> Result<CpuOffsets, CpuTimesError> {
    check_nohz_full(&read("nohz_full"))?;
    check_gaps(&read("possible"))?;
    offsets::resolve(btf)
}

/// Loads the program, which is not attached.
///
/// # Errors
///
/// If the kernel refuses it.
pub(in crate::source::bpf) fn load(ebpf: &mut Ebpf) -> Result<(), CpuTimesError> {
    let program: &mut RawTracePoint = program_of(ebpf, PROGRAM)?;
    Ok(program.load().map_err(Refusal::from)?)
}

fn read(list: &str) -> String {
    let text = read_kernel_file(&format!("/sys/devices/system/cpu/{list}"));
    text.map_or_else(
        |_unreadable| String::new(),
        |text| String::from_utf8_lossy(&text).into_owned(),
    )
}

/// Of CPUs that run tasks without a tick (`nohz_full`), the kernel adds the time
/// in flight when the times are read (`kcpustat_cpu_fetch` of
/// `kernel/sched/cputime.c`), which the program does not.
fn check_nohz_full(nohz_full: &str) -> Result<(), CpuTimesError> {
    match nohz_full.trim() {
        "" | "(null)" => Ok(()),
        cpus => Err(CpuTimesError::NohzFull(cpus.to_owned())),
    }
}

/// A CPU that is not possible has no per-CPU variables.
fn check_gaps(possible: &str) -> Result<(), CpuTimesError> {
    let possible = possible.trim();
    if possible == "0" || (possible.starts_with("0-") && !possible.contains(',')) {
        return Ok(());
    }
    Err(CpuTimesError::CpuGaps(possible.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_unsupported_cpus_are_detected() {
        assert!(check_nohz_full("").is_ok(), "no such file");
        assert!(check_nohz_full("\n").is_ok());
        assert!(check_nohz_full("  (null)\n").is_ok());
        assert!(check_nohz_full("2-3\n").is_err());
        assert!(check_gaps("0\n").is_ok());
        assert!(check_gaps("0-255\n").is_ok());
        assert!(check_gaps("0,2-3\n").is_err());
        assert!(check_gaps("").is_err());
    }
}
