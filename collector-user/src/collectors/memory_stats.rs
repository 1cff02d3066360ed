use super::{CollectError, Collector};
use crate::{
    metric::MemoryStats,
    source::{Tick, procfs::meminfo},
};

/// Reads [`MemoryStats`] from `/proc/meminfo`. Tier 2.
///
/// Needs no privileges.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryStatsCollector;

impl Collector for MemoryStatsCollector {
    type Reading = MemoryStats;

    fn collect(&mut self, tick: &Tick) -> Result<MemoryStats, CollectError> {
        Ok(tick.parse("/proc/meminfo", meminfo::parse)?)
    }
}
