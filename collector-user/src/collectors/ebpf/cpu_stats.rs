use super::accounted;
use crate::{
    collectors::{CollectError, Collector},
    metric::{Backend, CpuStats, CpuTimes},
    source::{Tick, ebpf::Scheduler, procfs::proc_stat},
};

/// `cpu_stats`: what the scheduler's tracepoints tell to the nanosecond,
/// beside the states that `/proc/stat` has.
///
/// Tier 3. Runs a program that copies the kernel's own counters, and reads the
/// maps `CPU_TIMES` and `CPUS`; opens no file. Where the program cannot be
/// had, it reads `/proc/stat` and which CPUs are online instead, and the report
/// of the programs says why. Needs the rights of [`Scheduler::load`]; without
/// them the procfs collector of the same metric leaves what only the programs
/// know empty.
#[derive(Debug)]
pub struct CpuStatsCollector {
    scheduler: Scheduler,
}

impl CpuStatsCollector {
    /// A collector that reads the maps of these programs.
    pub const fn new(scheduler: Scheduler) -> Self {
        Self { scheduler }
    }
}

impl Collector for CpuStatsCollector {
    type Reading = CpuStats;

    fn backend(&self) -> Backend {
        Backend::Ebpf
    }

    fn sources(&self) -> &'static [&'static str] {
        if self.scheduler.reads_cpus() {
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
        let accounted = accounted(&self.scheduler, tick)?;
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

/// Adds what the programs counted to a row that has the other fields. What they
/// do not count stays unknown.
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
