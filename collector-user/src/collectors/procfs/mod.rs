//! The collectors of the metrics that eBPF programs can account better: what
//! is used where they cannot be had.

mod cpu_stats;
mod process_poller;
mod process_row;
mod process_stats;
mod process_table;

pub use cpu_stats::ProcfsCpuStats;
pub use process_poller::ProcessPoller;
pub use process_stats::ProcfsProcessStats;
