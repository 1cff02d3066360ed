use serde::{Deserialize, Serialize};

use super::{Kind, MetricInfo, Reading, Tier};

/// How many tasks wanted to run, on average.
///
/// On Linux, tasks in uninterruptible sleep count as well as those that run or
/// wait for a CPU. Sources: `/proc/loadavg`, `/proc/uptime`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadAvg {
    /// Over a minute.
    pub load_1m: f64,
    /// Over five minutes.
    pub load_5m: f64,
    /// Over fifteen minutes.
    pub load_15m: f64,
    /// Tasks that run or wait for a CPU now.
    pub runnable_tasks: u64,
    /// Tasks that there are: processes and threads.
    pub tasks: u64,
    /// The number that was given to a task last, in the PID namespace of the
    /// reader.
    pub last_pid: Option<u64>,
    /// Time since the machine started, time in suspend included.
    pub uptime_ns: Option<u64>,
}

impl Reading for LoadAvg {
    const METRIC: MetricInfo = MetricInfo {
        name: "load_avg",
        tier: Tier::System,
        kind: Kind::State,
        help: "Tasks that want to run, on average, and the time since the start",
    };

    fn heap_bytes(&self) -> usize {
        0
    }
}
