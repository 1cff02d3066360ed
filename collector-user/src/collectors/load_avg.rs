use super::{CollectError, Collector};
use crate::{
    metric::LoadAvg,
    source::{Tick, procfs::loadavg},
};

/// Reads [`LoadAvg`] from `/proc/loadavg` and `/proc/uptime`. Tier 2.
///
/// Needs no privileges. Without `/proc/uptime` the uptime is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadAvgCollector;

impl Collector for LoadAvgCollector {
    type Reading = LoadAvg;

    fn collect(&mut self, tick: &Tick) -> Result<LoadAvg, CollectError> {
        Ok(LoadAvg {
            uptime_ns: tick.parse("/proc/uptime", loadavg::parse_uptime_ns).ok(),
            ..tick.parse("/proc/loadavg", loadavg::parse)?
        })
    }
}
