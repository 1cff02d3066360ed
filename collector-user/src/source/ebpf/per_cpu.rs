//! How far the per-CPU variables of the kernel are from each other.

use std::{
    fs::File,
    io::{BufRead, BufReader},
};

use super::btf::Btf;

/// The variables that the program `read_cpus` reads, the first being the one
/// from which it finds the others.
const VARIABLES: [&str; 3] = ["runqueues", "kernel_cpustat", "tick_cpu_sched"];

/// Where each CPU's own variables are, from the same place for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PerCpu {
    pub(super) queue: u64,
    pub(super) cpustat: u64,
    /// `None` where the kernel has no such variable.
    pub(super) tick: Option<u64>,
}

impl PerCpu {
    /// From BTF, where pahole 1.22 and later tell it; else from the kernel's
    /// symbols, where it has those of data.
    ///
    /// # Errors
    ///
    /// When neither tells.
    pub(super) fn find(btf: &Btf) -> Result<Self, String> {
        Self::of(VARIABLES.map(|name| btf.per_cpu_variable(name).map(u64::from)))
            .or_else(|| Self::of(symbols(BufReader::new(File::open("/proc/kallsyms").ok()?))))
            .ok_or_else(|| {
                "neither BTF nor /proc/kallsyms tells where the variables of a CPU are".to_owned()
            })
    }

    fn of(places: [Option<u64>; 3]) -> Option<Self> {
        let [Some(queue), Some(cpustat), tick] = places else {
            return None;
        };
        // Hidden addresses are shown as zeros.
        (queue != cpustat).then_some(Self {
            queue,
            cpustat,
            tick,
        })
    }

    /// How far a variable is behind the run queue, in the numbers that wrap
    /// around.
    ///
    /// # Errors
    ///
    /// When that is more than the per-CPU variables take.
    pub(super) fn distance_from_queue(self, variable: u64) -> Result<u32, String> {
        i32::try_from(variable.wrapping_sub(self.queue).cast_signed())
            .map(i32::cast_unsigned)
            .map_err(|_too_far| "the variables of a CPU are too far apart".to_owned())
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
            // A line with a fourth word is of a module.
            continue;
        };
        for (variable, place) in VARIABLES.iter().zip(&mut found) {
            if *variable == name {
                *place = u64::from_str_radix(address, 16).ok();
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
        let per_cpu = PerCpu::of(found).expect("two are there");
        assert_eq!(per_cpu.distance_from_queue(0x2b0c8), Ok(8));
        assert_eq!(
            per_cpu.distance_from_queue(0x2b0b8),
            Ok(8u32.wrapping_neg())
        );
        assert!(per_cpu.distance_from_queue(1 << 40).is_err());
    }

    #[test]
    fn addresses_that_are_hidden_are_not_taken_for_places() {
        let hidden = LINES.replace(|digit: char| digit.is_ascii_hexdigit(), "0");
        assert_eq!(PerCpu::of(symbols(hidden.as_bytes())), None);
        assert_eq!(PerCpu::of([Some(0), Some(0), Some(0)]), None);
        assert_eq!(PerCpu::of([Some(8), None, None]), None);
    }
}
