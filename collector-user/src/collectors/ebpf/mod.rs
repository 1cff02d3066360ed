//! The eBPF backend: the programs, the accounts that they feed, and the
//! collectors of the metrics.
//!
//! [`Accountant`] loads the programs and reads them. Inside, it feeds what they
//! write to the accounts of `accounting`.

mod accountant;
mod cpu_slices;
mod cpu_stats;
mod events;
mod kernel_accounting;
mod latency;
mod losses;
mod online;
mod proc_reader;
mod process_stats;
mod sched_latency;
mod task_passes;

use std::sync::Arc;

pub use accountant::{Accountant, Accounted, ProcessesAndCpus};
pub use cpu_stats::CpuStatsCollector;
pub use events::{EventSink, EventStream};
pub use process_stats::ProcessStatsCollector;
pub use sched_latency::SchedLatencyCollector;

use crate::{collectors::CollectError, source::Tick};

/// The reading that all collectors of this backend share in a tick.
fn accounted(accountant: &Accountant, tick: &Tick) -> Result<Arc<Accounted>, CollectError> {
    let accounted = accountant.accounted(tick);
    accounted.ok_or_else(|| CollectError::failed("the tick has no reading of the BPF maps"))
}
