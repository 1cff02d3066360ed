use serde::{Deserialize, Serialize};

use super::Reading;

/// Load averages and uptime.
///
/// On Linux the load counts runnable tasks and tasks in uninterruptible sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, Reading)]
#[metric(
    name = "load_avg",
    tier = "system",
    prefix = "host",
    sources("/proc/loadavg", "/proc/uptime")
)]
pub struct LoadAvg {
    /// Load average over one minute.
    #[field(1)]
    pub load_1m: f64,
    /// Load average over five minutes.
    #[field(2)]
    pub load_5m: f64,
    /// Load average over fifteen minutes.
    #[field(3)]
    pub load_15m: f64,
    /// Runnable tasks: on a CPU or on a run queue.
    #[field(4)]
    pub runnable_tasks: u64,
    /// Tasks: processes and threads.
    #[field(5)]
    pub tasks: u64,
    /// The PID that was allocated last, in the PID namespace of the reader.
    #[field(6)]
    pub last_pid: Option<u64>,
    /// Time since boot, suspend included.
    #[field(7)]
    pub uptime_ns: Option<u64>,
}
