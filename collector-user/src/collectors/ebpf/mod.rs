//! The collectors whose readings are accounted in the kernel.

use std::sync::Arc;

use crate::{
    collectors::CollectError,
    source::{
        Tick,
        ebpf::{Accounted, Scheduler},
    },
};

mod cpu_stats;
mod process_stats;
mod sched_latency;

pub use cpu_stats::CpuStatsCollector;
pub use process_stats::ProcessStatsCollector;
pub use sched_latency::SchedLatencyCollector;

/// What all of them share in a tick.
fn accounted(scheduler: &Scheduler, tick: &Tick) -> Result<Arc<Accounted>, CollectError> {
    let accounted = scheduler.accounted(tick);
    accounted.ok_or_else(|| CollectError::failed("the tick has no reading of the programs' maps"))
}
