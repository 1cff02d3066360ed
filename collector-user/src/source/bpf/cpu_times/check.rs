//! The comparison of the times of the CPUs with `/proc/stat`.

use super::states::{STATES, states};
use crate::{
    metric::{CpuStats, CpuTimes},
    source::procfs::CLOCK_TICKS_PER_SECOND,
};

/// `/proc/stat` is rounded down to a clock tick; one more tick, because its
/// values are not read at the same time.
const TOLERANCE_NS: u64 = 2 * 1_000_000_000 / CLOCK_TICKS_PER_SECOND;

/// A difference between the times read by the program and `/proc/stat`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Difference {
    #[error("{read} CPUs are online, and {file} in /proc/stat")]
    Cpus { read: usize, file: usize },
    #[error("the {state} time of {} is {read_ns} ns, and {file_ns} ns in /proc/stat", name(*.cpu))]
    Time {
        state: &'static str,
        /// `None` for the sum of all CPUs.
        cpu: Option<u32>,
        read_ns: u64,
        file_ns: u64,
    },
    #[error("{before} to {after} context switches, and {file} in /proc/stat")]
    Switches { before: u64, after: u64, file: u64 },
}

fn name(cpu: Option<u32>) -> String {
    cpu.map_or_else(|| "all CPUs".to_owned(), |cpu| format!("CPU {cpu}"))
}

/// Compares `/proc/stat` with the times that were read before and after it.
///
/// # Errors
///
/// The first difference.
pub(super) fn compare(
    before: &CpuStats,
    file: &CpuStats,
    after: &CpuStats,
) -> Result<(), Difference> {
    let numbers =
        |stats: &CpuStats| -> Vec<Option<u32>> { stats.cpus.iter().map(|row| row.cpu).collect() };
    if numbers(before) != numbers(file) || numbers(file) != numbers(after) {
        return Err(Difference::Cpus {
            read: before.cpus.len(),
            file: file.cpus.len(),
        });
    }
    let total = (&before.total, &file.total, &after.total);
    let rows = before.cpus.iter().zip(&file.cpus).zip(&after.cpus);
    for ((before, file), after) in rows {
        compare_times(before, file, after)?;
    }
    let (before, file, after) = total;
    compare_times(before, file, after)?;
    let switches = file.context_switches;
    if before.context_switches > switches || switches > after.context_switches {
        return Err(Difference::Switches {
            before: before.context_switches.unwrap_or(0),
            after: after.context_switches.unwrap_or(0),
            file: switches.unwrap_or(0),
        });
    }
    Ok(())
}

fn compare_times(before: &CpuTimes, file: &CpuTimes, after: &CpuTimes) -> Result<(), Difference> {
    let cpu = file.cpu;
    let values = states(before)
        .into_iter()
        .zip(states(file))
        .zip(states(after));
    for (state, ((before, file), after)) in STATES.into_iter().zip(values) {
        // A column that this kernel does not have.
        let (Some(before), Some(file), Some(after)) = (before, file, after) else {
            continue;
        };
        let least = before.min(after).saturating_sub(TOLERANCE_NS);
        let most = before.max(after).saturating_add(TOLERANCE_NS);
        if file < least || file > most {
            return Err(Difference::Time {
                state,
                cpu,
                read_ns: after,
                file_ns: file,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(user_ns: u64) -> CpuStats {
        let times = |cpu| CpuTimes {
            cpu,
            user_ns: Some(user_ns),
            idle_ns: Some(5),
            context_switches: Some(9),
            ..CpuTimes::default()
        };
        CpuStats {
            cpus: vec![times(Some(0)), times(Some(2))],
            total: times(None),
            ..CpuStats::default()
        }
    }

    fn text(compared: Result<(), Difference>) -> Result<(), String> {
        compared.map_err(|difference| difference.to_string())
    }

    #[test]
    fn two_ticks_are_no_difference_and_more_are() {
        let read = stats(100_000_000);
        assert_eq!(compare(&read, &stats(80_000_000), &read), Ok(()));
        assert_eq!(compare(&read, &stats(120_000_000), &read), Ok(()));
        assert_eq!(
            text(compare(&read, &stats(79_999_999), &read)),
            Err("the user time of CPU 0 is 100000000 ns, and 79999999 ns in /proc/stat".to_owned())
        );
        assert!(compare(&read, &stats(120_000_001), &read).is_err());
    }

    #[test]
    fn what_passes_between_the_reads_is_no_difference() {
        let (before, after) = (stats(0), stats(1_000_000_000));
        assert_eq!(compare(&before, &stats(500_000_000), &after), Ok(()));
        assert_eq!(
            compare(&after, &stats(500_000_000), &before),
            Ok(()),
            "idle and iowait time may go back"
        );
    }

    #[test]
    fn a_row_that_only_one_has_is_a_difference() {
        let read = stats(0);
        let mut file = stats(0);
        file.cpus.pop();
        assert_eq!(
            text(compare(&read, &file, &read)),
            Err("2 CPUs are online, and 1 in /proc/stat".to_owned())
        );
    }

    #[test]
    fn switches_are_compared_exactly() {
        let read = stats(0);
        let mut file = stats(0);
        file.total.context_switches = Some(10);
        assert!(compare(&read, &file, &read).is_err());
    }

    #[test]
    fn a_column_that_the_kernel_does_not_have_is_not_compared() {
        let mut read = stats(0);
        read.cpus[0].guest_ns = Some(u64::MAX);
        assert_eq!(compare(&read, &stats(0), &read), Ok(()));
    }
}
