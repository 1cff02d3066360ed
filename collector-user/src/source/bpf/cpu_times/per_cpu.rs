//! The distances between per-CPU variables of the kernel.

use std::{
    fs::File,
    io::{BufRead, BufReader},
};

use super::CpuTimesError;
use crate::source::bpf::load::Btf;

/// The variables that the program `read_cpus` reads; it finds the others from the
/// first one.
const VARIABLES: [&str; 3] = ["runqueues", "kernel_cpustat", "tick_cpu_sched"];

/// The offsets of per-CPU variables, relative to a common base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PerCpuVariables {
    pub(super) rq: u64,
    pub(super) cpustat: u64,
    /// `None` if the kernel has no such variable.
    pub(super) tick: Option<u64>,
}

impl PerCpuVariables {
    /// From BTF, which has them with pahole 1.22 and later; otherwise from
    /// `/proc/kallsyms`, which has them with `CONFIG_KALLSYMS_ALL`.
    ///
    /// # Errors
    ///
    /// If neither has them.
    pub(super) fn find(btf: &Btf) -> Result<Self, CpuTimesError> {
        Self::of(VARIABLES.map(|name| btf.per_cpu_variable(name).map(u64::from)))
            .or_else(|| Self::of(symbols(BufReader::new(File::open("/proc/kallsyms").ok()?))))
            .ok_or(CpuTimesError::NoPerCpuVariables)
    }

    fn of(addresses: [Option<u64>; 3]) -> Option<Self> {
        let [Some(rq), Some(cpustat), tick] = addresses else {
            return None;
        };
        // Hidden addresses are shown as zeros.
        (rq != cpustat).then_some(Self { rq, cpustat, tick })
    }

    /// The distance of a variable from the run queue, modulo 2^32.
    ///
    /// # Errors
    ///
    /// If it is larger than the per-CPU area can be.
    pub(super) fn distance_from_rq(self, variable: u64) -> Result<u32, CpuTimesError> {
        i32::try_from(variable.wrapping_sub(self.rq).cast_signed())
            .map(i32::cast_unsigned)
            .map_err(|_too_far| CpuTimesError::TooFarApart)
    }
}

/// The addresses of the variables.
fn symbols(lines: impl BufRead) -> [Option<u64>; 3] {
    let mut found = [None; 3];
    for line in lines.lines().map_while(Result::ok) {
        let mut words = line.split_ascii_whitespace();
        let (Some(address), Some(_kind), Some(name), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            // A line with a fourth word is a symbol of a module.
            continue;
        };
        for (variable, found) in VARIABLES.iter().zip(&mut found) {
            if *variable == name {
                *found = u64::from_str_radix(address, 16).ok();
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "\
0000000000000000 A fixed_percpu_data
000000000002b0c0 A runqueues
0000000000020040 A kernel_cpustat
0000000000023440 a tick_cpu_sched
ffffffffc0000000 d runqueues\t[module]
";

    #[test]
    fn the_variables_are_found_among_the_symbols() {
        let found = symbols(LINES.as_bytes());
        assert_eq!(found, [Some(0x2b0c0), Some(0x20040), Some(0x23440)]);
        let per_cpu = PerCpuVariables::of(found).expect("two are there");
        assert_eq!(per_cpu.distance_from_rq(0x2b0c8).ok(), Some(8));
        assert_eq!(
            per_cpu.distance_from_rq(0x2b0b8).ok(),
            Some(8u32.wrapping_neg())
        );
        assert!(per_cpu.distance_from_rq(1 << 40).is_err());
    }

    #[test]
    fn hidden_addresses_are_not_used() {
        let hidden = LINES.replace(|digit: char| digit.is_ascii_hexdigit(), "0");
        assert_eq!(PerCpuVariables::of(symbols(hidden.as_bytes())), None);
        assert_eq!(PerCpuVariables::of([Some(0), Some(0), Some(0)]), None);
        assert_eq!(PerCpuVariables::of([Some(8), None, None]), None);
    }
}
