//! The procfs backend: the collectors that are used without eBPF.

mod cpu_stats;
mod process_poller;
mod process_row;
mod process_stats;
mod process_table;

pub use cpu_stats::ProcfsCpuStats;
pub use process_poller::ProcessPoller;
pub use process_stats::ProcfsProcessStats;
