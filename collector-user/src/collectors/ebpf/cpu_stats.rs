use super::{Accountant, accounted};
use crate::{
    collectors::{CollectError, Collector},
    metric::{Backend, CpuStats, CpuTimes},
    source::{Tick, procfs::proc_stat},
};

/// `cpu_stats`: the times of `/proc/stat`, and those that the scheduler's
/// tracepoints measure, in nanoseconds.
///
/// Tier 3. Runs a program that copies the kernel's own counters, and reads the
/// maps `CPU_TIMES` and `CPUS`; opens no file. If that program cannot be used,
/// it reads `/proc/stat` and the list of online CPUs instead, and the load report
/// says why. Needs the rights of [`Accountant::load`]; without them the procfs
/// collector of the same metric has `None` for what only the programs measure.
#[derive(Debug)]
pub struct CpuStatsCollector {
    accountant: Accountant,
}

impl CpuStatsCollector {
    /// A collector of this accountant.
    pub const fn new(accountant: Accountant) -> Self {
        Self { accountant }
    }
}

impl Collector for CpuStatsCollector {
    type Reading = CpuStats;

    fn backend(&self) -> Backend {
        Backend::Ebpf
    }

    fn sources(&self) -> &'static [&'static str] {
        if self.accountant.has_cpu_stats() {
            &["BPF map CPU_TIMES", "BPF map CPUS"]
        } else {
            &[
                "/proc/stat",
                "/sys/devices/system/cpu/online",
                "BPF map CPUS",
            ]
        }
    }

    fn collect(&mut self, tick: &Tick) -> Result<CpuStats, CollectError> {
        let accounted = accounted(&self.accountant, tick)?;
        let mut reading = match &accounted.kernel {
            Some(reading) => reading.clone(),
            None => tick.parse("/proc/stat", proc_stat::parse)?.cpu_stats,
        };
        for counted in &accounted.cpus {
            add(&mut reading.total, counted);
            if let Some(row) = reading.cpus.iter_mut().find(|row| row.cpu == counted.cpu) {
                add(row, counted);
            }
        }
        reading.events_dropped = Some(accounted.events_dropped);
        reading.threads_dropped = Some(accounted.threads_dropped);
        Ok(reading)
    }
}

/// Adds the times that the programs measure to a row with the other fields. What
/// they do not measure stays unknown.
fn add(row: &mut CpuTimes, counted: &CpuTimes) {
    for (field, counted) in [
        (&mut row.busy_ns, counted.busy_ns),
        (&mut row.idle_task_ns, counted.idle_task_ns),
        (&mut row.unattributed_ns, counted.unattributed_ns),
        (&mut row.voluntary_switches, counted.voluntary_switches),
        (&mut row.involuntary_switches, counted.involuntary_switches),
        (&mut row.idle_switches, counted.idle_switches),
        (&mut row.wakeups, counted.wakeups),
    ] {
        if let Some(counted) = counted {
            *field = Some(field.unwrap_or(0).saturating_add(counted));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_programs_do_not_count_stays_unknown_and_is_no_zero() {
        let counted = CpuTimes {
            busy_ns: Some(7),
            idle_switches: Some(0),
            ..CpuTimes::default()
        };
        let mut total = CpuTimes {
            user_ns: Some(3),
            ..CpuTimes::default()
        };
        add(&mut total, &counted);
        add(&mut total, &counted);
        let expected = CpuTimes {
            user_ns: Some(3),
            busy_ns: Some(14),
            idle_switches: Some(0),
            ..CpuTimes::default()
        };
        assert_eq!(total, expected);
    }
}
