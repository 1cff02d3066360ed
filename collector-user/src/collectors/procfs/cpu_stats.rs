use crate::{
    collectors::{CollectError, Collector},
    metric::CpuStats,
    source::{Tick, procfs::proc_stat},
};

/// Reads [`CpuStats`] from `/proc/stat`. Tier 3.
///
/// Needs no rights. Fields that only the eBPF programs measure are `None`. The
/// resolution of times is a clock tick, 10 ms. Idle and iowait time may decrease
/// slightly:
/// <https://docs.kernel.org/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat>.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcfsCpuStats;

impl Collector for ProcfsCpuStats {
    type Reading = CpuStats;

    fn sources(&self) -> &'static [&'static str] {
        &["/proc/stat"]
    }

    fn collect(&mut self, tick: &Tick) -> Result<CpuStats, CollectError> {
        Ok(tick.parse("/proc/stat", proc_stat::parse)?.cpu_stats)
    }
}
