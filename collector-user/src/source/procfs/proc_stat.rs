//! `/proc/stat`: CPU times since boot.
//!
//! <https://docs.kernel.org/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat>.

use super::ticks_to_ns;
use crate::{
    metric::{CpuStats, CpuTimes},
    source::parse::{self, ParseError},
};

/// The content of `/proc/stat`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcStat {
    /// The CPUs and their total. Fields that need the eBPF backend are `None`.
    pub cpu_stats: CpuStats,
    /// Boot time, in seconds since the epoch.
    pub boot_time_s: Option<u64>,
}

/// Parses `/proc/stat`.
///
/// # Errors
///
/// When the line `cpu` is missing, or a line of a CPU contains something else than
/// numbers. These are `None`: columns that an older kernel does not have; `ctxt`, `btime`
/// and other single values that are missing or invalid; all times if the kernel counts
/// none.
pub fn parse(bytes: &[u8]) -> Result<ProcStat, ParseError> {
    let mut stat = ProcStat::default();
    let mut total = None;
    for (line_number, line) in parse::lines(bytes) {
        let Some(name) = parse::words(line).next() else {
            continue;
        };
        let value = || parse::words(line).nth(1).and_then(parse::number);
        if let Some(number) = name.strip_prefix(b"cpu") {
            let times = cpu_times(line).map_err(|error| error.in_line(line_number))?;
            if number.is_empty() {
                total = Some(times);
            } else {
                let cpu = parse::field("CPU number", Some(number))
                    .map_err(|error| error.in_line(line_number))?;
                stat.cpu_stats.cpus.push(CpuTimes {
                    cpu: Some(cpu),
                    ..times
                });
            }
            continue;
        }
        match name {
            // The kernel counts per CPU, but shows only the sum.
            b"ctxt" => {
                if let Some(total) = &mut total {
                    total.context_switches = value();
                }
            }
            // 0 means that the clock was not set.
            b"btime" => stat.boot_time_s = value().filter(|&seconds| seconds != 0),
            b"processes" => stat.cpu_stats.forks = value(),
            b"procs_running" => stat.cpu_stats.procs_running = value(),
            b"procs_blocked" => stat.cpu_stats.procs_blocked = value(),
            _ => {}
        }
    }
    stat.cpu_stats.total = total.ok_or(ParseError::missing("the line `cpu`"))?;
    if !is_counted(&stat.cpu_stats.total) {
        clear_times(&mut stat.cpu_stats.total);
        stat.cpu_stats.cpus.iter_mut().for_each(clear_times);
    }
    Ok(stat)
}

/// Whether the kernel counts CPU times: after the first clock tick their sum is not 0.
/// gVisor shows zeros only.
fn is_counted(total: &CpuTimes) -> bool {
    let times = [
        total.user_ns,
        total.nice_ns,
        total.system_ns,
        total.idle_ns,
        total.iowait_ns,
        total.irq_ns,
        total.softirq_ns,
        total.steal_ns,
    ];
    times.into_iter().flatten().any(|time| time != 0)
}

/// Clears all fields but the CPU number and the context switches.
fn clear_times(cpu: &mut CpuTimes) {
    *cpu = CpuTimes {
        cpu: cpu.cpu,
        context_switches: cpu.context_switches,
        ..CpuTimes::default()
    };
}

fn cpu_times(line: &[u8]) -> Result<CpuTimes, ParseError> {
    let mut words = parse::words(line).skip(1);
    let mut next = |name: &'static str| -> Result<Option<u64>, ParseError> {
        words
            .next()
            .map(|word| parse::field::<u64>(name, Some(word)).map(ticks_to_ns))
            .transpose()
    };
    let times = CpuTimes {
        user_ns: next("user")?,
        nice_ns: next("nice")?,
        system_ns: next("system")?,
        idle_ns: next("idle")?,
        iowait_ns: next("iowait")?,
        irq_ns: next("irq")?,
        softirq_ns: next("softirq")?,
        steal_ns: next("steal")?,
        guest_ns: next("guest")?,
        guest_nice_ns: next("guest_nice")?,
        ..CpuTimes::default()
    };
    // Every kernel has these four, so a line without them is truncated.
    if times.idle_ns.is_none() {
        return Err(ParseError::missing("idle"));
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_CPUS: &[u8] = b"cpu  30 2 10 400 5 0 1 3 0 0
cpu0 20 1 6 190 3 0 1 2 0 0
cpu2 10 1 4 210 2 0 0 1 0 0
intr 5000 0 0 12
ctxt 98765
btime 1700000000
processes 4321
procs_running 2
procs_blocked 1
softirq 10 0 1
";

    #[test]
    fn times_are_nanoseconds_and_cpus_keep_their_numbers() {
        let stat = parse(TWO_CPUS).unwrap();
        let cpus = &stat.cpu_stats;
        assert_eq!(cpus.total.user_ns, Some(300_000_000));
        assert_eq!(cpus.total.cpu, None);
        assert_eq!(cpus.total.context_switches, Some(98765));
        assert_eq!(
            cpus.cpus.iter().map(|cpu| cpu.cpu).collect::<Vec<_>>(),
            [Some(0), Some(2)]
        );
        assert_eq!(cpus.cpus[1].steal_ns, Some(10_000_000));
        assert_eq!(cpus.cpus[1].context_switches, None);
        assert_eq!(cpus.forks, Some(4321));
        assert_eq!(cpus.procs_running, Some(2));
        assert_eq!(stat.boot_time_s, Some(1_700_000_000));
    }

    #[test]
    fn columns_that_an_old_kernel_does_not_have_are_unknown_and_not_zero() {
        let stat = parse(b"cpu 1 2 3 4\ncpu0 1 2 3 4\n").unwrap();
        assert_eq!(stat.cpu_stats.total.idle_ns, Some(40_000_000));
        assert_eq!(stat.cpu_stats.total.iowait_ns, None);
        assert_eq!(stat.cpu_stats.total.steal_ns, None);
        assert_eq!(stat.cpu_stats.procs_running, None);
    }

    #[test]
    fn times_that_the_kernel_does_not_count_are_unknown_and_not_zero() {
        let zeros =
            b"cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\nctxt 7\nbtime 1700000000\n";
        let stat = parse(zeros).unwrap();
        assert_eq!(stat.cpu_stats.cpus.len(), 1);
        let expected = CpuTimes {
            cpu: Some(0),
            ..CpuTimes::default()
        };
        assert_eq!(stat.cpu_stats.cpus[0], expected);
        assert_eq!(stat.cpu_stats.total.idle_ns, None);
        assert_eq!(stat.cpu_stats.total.context_switches, Some(7));
        // A CPU that has just come online is 0 beside others that are not.
        let stat = parse(b"cpu 0 0 0 4\ncpu0 0 0 0 4\ncpu1 0 0 0 0\n").unwrap();
        assert_eq!(stat.cpu_stats.cpus[1].idle_ns, Some(0));
    }

    #[test]
    fn an_error_has_the_line_and_the_field() {
        let error = parse(b"cpu 1 2 3 4 5\ncpu0 1 2 three 4 5\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: system is \"three\", not a number in range"
        );
        let error = parse(b"").unwrap_err();
        assert_eq!(error.to_string(), "the line `cpu` is missing");
    }

    #[test]
    fn a_number_too_large_for_nanoseconds_does_not_wrap() {
        let stat = parse(b"cpu 18446744073709551615 0 0 0\n").unwrap();
        assert_eq!(stat.cpu_stats.total.user_ns, Some(u64::MAX));
    }
}
