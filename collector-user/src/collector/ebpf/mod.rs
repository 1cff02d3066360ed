//! The collectors whose readings are accounted in the kernel.

mod cpu_stats;
mod process_stats;
mod sched_latency;

pub use cpu_stats::CpuStatsCollector;
pub use process_stats::ProcessStatsCollector;
pub use sched_latency::SchedLatencyCollector;
