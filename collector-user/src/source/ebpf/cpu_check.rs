//! Whether the program `read_cpus` tells the same as `/proc/stat`.

use super::cpu_states::{STATES, states};
use crate::{
    metric::{CpuStats, CpuTimes},
    source::procfs::CLOCK_TICKS_PER_SECOND,
};

/// `/proc/stat` is rounded down to a clock tick; one more, since what it tells
/// is not of one moment.
const DISTANCE_NS: u64 = 2 * 1_000_000_000 / CLOCK_TICKS_PER_SECOND;

/// Compares what `/proc/stat` said with what was read before and after.
///
/// # Errors
///
/// The first difference, in words.
pub(super) fn compare(before: &CpuStats, file: &CpuStats, after: &CpuStats) -> Result<(), String> {
    let numbers =
        |stats: &CpuStats| -> Vec<Option<u32>> { stats.cpus.iter().map(|row| row.cpu).collect() };
    if numbers(before) != numbers(file) || numbers(file) != numbers(after) {
        return Err(format!(
            "{} CPUs are online, and {} in /proc/stat",
            before.cpus.len(),
            file.cpus.len()
        ));
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
        return Err(format!(
            "{} to {} context switches, and {} in /proc/stat",
            before.context_switches.unwrap_or(0),
            after.context_switches.unwrap_or(0),
            switches.unwrap_or(0)
        ));
    }
    Ok(())
}

fn compare_times(before: &CpuTimes, file: &CpuTimes, after: &CpuTimes) -> Result<(), String> {
    let whose = file
        .cpu
        .map_or_else(|| "all CPUs".to_owned(), |cpu| format!("CPU {cpu}"));
    let values = states(before)
        .into_iter()
        .zip(states(file))
        .zip(states(after));
    for (name, ((before, file), after)) in STATES.into_iter().zip(values) {
        // A column that this kernel does not have.
        let (Some(before), Some(file), Some(after)) = (before, file, after) else {
            continue;
        };
        let least = before.min(after).saturating_sub(DISTANCE_NS);
        let most = before.max(after).saturating_add(DISTANCE_NS);
        if file < least || file > most {
            return Err(format!(
                "the {name} time of {whose} is {after} ns, and {file} ns in /proc/stat"
            ));
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

    #[test]
    fn two_ticks_are_no_difference_and_more_are() {
        let read = stats(100_000_000);
        assert_eq!(compare(&read, &stats(80_000_000), &read), Ok(()));
        assert_eq!(compare(&read, &stats(120_000_000), &read), Ok(()));
        assert_eq!(
            compare(&read, &stats(79_999_999), &read),
            Err("the user time of CPU 0 is 100000000 ns, and 79999999 ns in /proc/stat".to_owned())
        );
        assert!(compare(&read, &stats(120_000_001), &read).is_err());
    }

    #[test]
    fn what_went_on_between_the_looks_is_no_difference() {
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
            compare(&read, &file, &read),
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
