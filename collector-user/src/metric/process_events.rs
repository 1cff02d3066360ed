use std::{sync::Arc, time::SystemTime};

use serde::Serialize;

use super::{Kind, MetricInfo, Reading, Tier};

/// A process that began, became another program, or ended.
///
/// Threads are not shown: a process that ends is one event, after its last
/// thread.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ProcessEvent {
    /// A process was made.
    Fork(ForkEvent),
    /// A process became another program.
    Exec(ExecEvent),
    /// A process ended.
    Exit(ExitEvent),
}

/// A process was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ForkEvent {
    /// When.
    #[serde(serialize_with = "crate::metric::serialize_rfc3339")]
    pub time: SystemTime,
    /// The new process.
    pub pid: u32,
    /// The process that made it.
    pub ppid: Option<u32>,
    /// When the new process began: nanoseconds since boot.
    pub start_time_ns: u64,
    /// The name that it has from its parent.
    pub comm: Arc<str>,
}

/// A process became another program.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExecEvent {
    /// When.
    #[serde(serialize_with = "crate::metric::serialize_rfc3339")]
    pub time: SystemTime,
    /// The process.
    pub pid: u32,
    /// Its parent.
    pub ppid: Option<u32>,
    /// When the process began: nanoseconds since boot.
    pub start_time_ns: u64,
    /// Its new name.
    pub comm: Arc<str>,
    /// The file that was executed, as it was asked for.
    pub filename: Option<Arc<str>>,
    /// The arguments; `None` where they could not be read.
    pub argv: Option<Vec<Arc<str>>>,
    /// Whether there were more or longer arguments than are shown.
    pub argv_truncated: bool,
}

/// A process ended: its last thread is gone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExitEvent {
    /// When.
    #[serde(serialize_with = "crate::metric::serialize_rfc3339")]
    pub time: SystemTime,
    /// The process.
    pub pid: u32,
    /// Its parent.
    pub ppid: Option<u32>,
    /// When the process began: nanoseconds since boot, time in suspend
    /// included.
    pub start_time_ns: u64,
    /// When its last thread left its last CPU, on the same clock. eBPF only;
    /// `None` if its end was not seen.
    pub end_time_ns: Option<u64>,
    /// How long it lived: `end_time_ns` less `start_time_ns`.
    pub lifetime_ns: Option<u64>,
    /// Its name.
    pub comm: Arc<str>,
    /// What it returned; `None` if a signal ended it, or if it is not known.
    pub exit_code: Option<u8>,
    /// The signal that ended it; `None` if it returned, or if it is not known.
    pub signal: Option<u8>,
    /// Whether it left a core dump.
    pub core_dumped: Option<bool>,
    /// Its time on a CPU.
    pub cpu_ns: Option<u64>,
    /// The part of it in user mode.
    pub user_ns: Option<u64>,
    /// The part of it in kernel mode.
    pub system_ns: Option<u64>,
    /// Its wait for a CPU.
    pub runqueue_ns: Option<u64>,
    /// Off-CPU time of its threads in sleep: the sum of the two kinds that
    /// follow.
    pub blocked_ns: Option<u64>,
    /// Their time in interruptible sleep.
    pub interruptible_sleep_ns: Option<u64>,
    /// Their time in uninterruptible sleep.
    pub uninterruptible_sleep_ns: Option<u64>,
    /// Its voluntary switches.
    pub voluntary_switches: Option<u64>,
    /// Its involuntary switches.
    pub involuntary_switches: Option<u64>,
    /// Its minor page faults.
    pub minor_faults: Option<u64>,
    /// Its major page faults.
    pub major_faults: Option<u64>,
}

impl Reading for ProcessEvent {
    const METRIC: MetricInfo = MetricInfo {
        name: "process_events",
        tier: Tier::Fast,
        kind: Kind::Event,
        help: "Processes that begin, execute another program, or end",
    };

    fn heap_bytes(&self) -> usize {
        match self {
            Self::Fork(event) => event.comm.len(),
            Self::Exit(event) => event.comm.len(),
            Self::Exec(event) => {
                event.comm.len()
                    + event.filename.as_ref().map_or(0, |text| text.len())
                    + event.argv.as_ref().map_or(0, |argv| {
                        argv.capacity() * size_of::<Arc<str>>()
                            + argv.iter().map(|text| text.len()).sum::<usize>()
                    })
            }
        }
    }
}
