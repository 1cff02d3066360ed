use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Asleep, Cgroup, Choice, Container, HasProcessCounters as _, OtherProcesses, ProcessCounters,
    ProcessList, Reading, Record, asleep::Sleepers, other_processes, process_counters,
};

/// CPU time, run-queue wait, sleep, context switches, memory and I/O, per process.
///
/// Counters are since the start of the process where the backend can know that. A process is
/// identified by PID and start time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Reading)]
#[metric(name = "process_stats", tier = "fast", sources("/proc/*"), cut = other_processes::cut)]
pub struct ProcessStats {
    /// The processes in the process table, zombies included, by PID.
    #[field(1)]
    pub processes: ProcessList,
    /// The sums over the processes that were reaped since the collector started: a zombie still has
    /// its row.
    #[field(2)]
    pub exited: ExitedTotals,
    /// The sums over the live processes without a row of their own, because all rows would exceed
    /// the budget of the cache; `None` if every process has its row.
    #[field(3)]
    pub other: Option<OtherProcesses>,
    /// The sums over the processes of each cgroup, live and exited.
    #[field(4)]
    pub cgroups: Vec<Arc<Cgroup>>,
}

/// One process: all its threads, exited ones included.
#[process_counters(io)]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
pub struct Process {
    /// PID (the kernel's tgid), in the PID namespace of the host.
    #[field(14, key)]
    pub pid: u32,
    /// PID of the parent; 0 without one.
    #[field(15)]
    pub ppid: Option<u32>,
    /// Start time: nanoseconds since boot, suspend included.
    #[field(16, key)]
    pub start_time_ns: u64,
    /// Name of the thread-group leader (`comm`): at most 15 bytes.
    #[field(17)]
    pub comm: Arc<str>,
    /// Command line, joined by spaces; empty for a kernel thread.
    #[field(18)]
    pub cmdline: Option<Arc<str>>,
    /// State of the thread-group leader.
    #[field(19)]
    pub state: Option<ProcessState>,
    /// Whether it is a kernel thread.
    #[field(20)]
    pub kernel_thread: Option<bool>,
    /// Effective UID.
    #[field(21)]
    pub uid: Option<u32>,
    /// Path of its cgroup, from the root of the hierarchy.
    #[field(22)]
    pub cgroup: Option<Arc<str>>,
    /// Its container or service, from the path of its cgroup.
    #[field(23)]
    pub container: Option<Arc<Container>>,
    /// Threads.
    #[field(24)]
    pub threads: Option<u32>,
    /// Resident memory (RSS).
    #[field(25)]
    pub rss_bytes: Option<u64>,
    /// Virtual memory.
    #[field(26)]
    pub vm_bytes: Option<u64>,
    /// The threads that sleep now, whose current sleep is not in the counters of this row:
    /// [`at`](Self::at) adds it. Empty in a row of [`ProcessList::iter`], which has added it.
    #[serde(skip)]
    #[field(skip)]
    pub asleep: Asleep,
}

impl Process {
    /// This row with the sleep of its threads up to a time on the monotonic
    /// clock: the row itself if none sleeps.
    pub fn at(&self, monotonic_ns: u64) -> Cow<'_, Self> {
        if self.asleep.is_empty() {
            return Cow::Borrowed(self);
        }
        let [interruptible, uninterruptible] = self.slept_ns(monotonic_ns);
        Cow::Owned(Self {
            blocked_ns: sum(interruptible, uninterruptible),
            interruptible_sleep_ns: interruptible,
            uninterruptible_sleep_ns: uninterruptible,
            asleep: Asleep::default(),
            ..self.clone()
        })
    }

    /// The counters with the sleep of its threads up to a time on the monotonic
    /// clock.
    pub(crate) fn counters_at(&self, monotonic_ns: u64) -> ProcessCounters {
        let [interruptible, uninterruptible] = self.slept_ns(monotonic_ns);
        ProcessCounters {
            blocked_ns: sum(interruptible, uninterruptible),
            interruptible_sleep_ns: interruptible,
            uninterruptible_sleep_ns: uninterruptible,
            ..self.process_counters()
        }
    }

    /// The interruptible and uninterruptible sleep of its threads up to a time.
    pub(crate) fn slept_ns(&self, monotonic_ns: u64) -> [Option<u64>; 2] {
        let with = |ended: Option<u64>, sleepers: &Sleepers| {
            ended.map(|ended| ended.saturating_add(sleepers.slept_ns(monotonic_ns)))
        };
        [
            with(self.interruptible_sleep_ns, &self.asleep.interruptible),
            with(self.uninterruptible_sleep_ns, &self.asleep.uninterruptible),
        ]
    }
}

/// The sum of two parts, if both are known.
pub(crate) fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    Some(one?.saturating_add(other?))
}

/// The state of a task: the letters of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Choice)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// `R`: running or runnable.
    #[value(1)]
    Running,
    /// `S`: interruptible sleep.
    #[value(2)]
    Sleeping,
    /// `D`: uninterruptible sleep, mostly for I/O.
    #[value(3)]
    DiskSleep,
    /// `T`: stopped by a signal.
    #[value(4)]
    Stopped,
    /// `t`: stopped by its tracer.
    #[value(5)]
    TracingStop,
    /// `Z`: zombie: exited, and not yet reaped.
    #[value(6)]
    Zombie,
    /// `X`: dead.
    #[value(7)]
    Dead,
    /// `I`: idle kernel thread.
    #[value(8)]
    Idle,
    /// `P`: parked.
    #[value(9)]
    Parked,
}

impl ProcessState {
    /// Its letter in `/proc/PID/stat`.
    pub const fn letter(self) -> char {
        match self {
            Self::Running => 'R',
            Self::Sleeping => 'S',
            Self::DiskSleep => 'D',
            Self::Stopped => 'T',
            Self::TracingStop => 't',
            Self::Zombie => 'Z',
            Self::Dead => 'X',
            Self::Idle => 'I',
            Self::Parked => 'P',
        }
    }

    /// The state of a letter of `/proc/PID/stat`; `None` for an unknown letter.
    pub const fn from_letter(letter: char) -> Option<Self> {
        Some(match letter {
            'R' => Self::Running,
            'S' => Self::Sleeping,
            'D' => Self::DiskSleep,
            'T' => Self::Stopped,
            't' => Self::TracingStop,
            'Z' => Self::Zombie,
            'X' | 'x' => Self::Dead,
            'I' => Self::Idle,
            'P' => Self::Parked,
            _ => return None,
        })
    }
}

/// The sums over all processes that were reaped since the collector started.
///
/// For a process that ran before the collector started, what it used before is included once it is
/// reaped.
#[process_counters]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
pub struct ExitedTotals {
    /// Number of processes.
    #[field(14, counter)]
    pub processes: Option<u64>,
}
