use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Asleep, Cgroup, Container, Kind, MetricInfo, OtherProcesses, ProcessList, Reading, Tier,
    asleep::Sleepers, heap::OwnedBytes as _, other_processes,
};

/// What each process used, and what the processes used that are gone.
///
/// Counters are since the process began where the backend can know it. A
/// process is told from another with the same number by its start time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessStats {
    /// The processes in the process table, zombies included, in the order of
    /// their numbers.
    pub processes: ProcessList,
    /// The sums of the processes that were reaped since the collector began: a
    /// zombie still has its row.
    pub exited: ExitedTotals,
    /// The sums of the live processes that have no row of their own, because
    /// all rows would have been more than the cache may hold; `None` if every
    /// process has its row.
    pub other: Option<OtherProcesses>,
    /// The sums of the processes of each cgroup, alive and ended.
    pub cgroups: Vec<Arc<Cgroup>>,
}

/// One process: all its threads, those that ended included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The number of the process (the kernel's tgid), in the PID namespace of
    /// the host.
    pub pid: u32,
    /// The number of its parent; 0 where it has none.
    pub ppid: Option<u32>,
    /// When it began: nanoseconds since boot, time in suspend included.
    pub start_time_ns: u64,
    /// The name of its leading thread: at most 15 bytes.
    pub comm: Arc<str>,
    /// Its arguments, with spaces between them; empty for a kernel thread.
    pub cmdline: Option<Arc<str>>,
    /// What its leading thread does.
    pub state: Option<ProcessState>,
    /// Whether it is a thread of the kernel.
    pub kernel_thread: Option<bool>,
    /// The effective user.
    pub uid: Option<u32>,
    /// The path of its cgroup, from the root of the hierarchy.
    pub cgroup: Option<Arc<str>>,
    /// What that path tells of its container or service.
    pub container: Option<Arc<Container>>,
    /// How many threads it has.
    pub threads: Option<u32>,
    /// Time on a CPU.
    pub cpu_ns: Option<u64>,
    /// The part of `cpu_ns` in user mode.
    pub user_ns: Option<u64>,
    /// The part of `cpu_ns` in kernel mode.
    pub system_ns: Option<u64>,
    /// Time in which a thread of it could run and waited for a CPU.
    pub runqueue_ns: Option<u64>,
    /// Off-CPU time of its threads in sleep, since the collector began: the sum
    /// of the two kinds that follow. That of threads that still sleep is in it.
    /// eBPF only.
    pub blocked_ns: Option<u64>,
    /// The part of `blocked_ns` in interruptible sleep. Threads that are
    /// stopped, traced or parked count here, and kernel threads with nothing to
    /// do (`I` in `/proc/PID/stat`). eBPF only.
    pub interruptible_sleep_ns: Option<u64>,
    /// The part of `blocked_ns` in uninterruptible sleep: `D` in
    /// `/proc/PID/stat`. eBPF only.
    pub uninterruptible_sleep_ns: Option<u64>,
    /// Switches because a thread went to sleep.
    pub voluntary_switches: Option<u64>,
    /// Switches although the thread could have gone on.
    pub involuntary_switches: Option<u64>,
    /// Page faults that needed no I/O.
    pub minor_faults: Option<u64>,
    /// Page faults that needed I/O.
    pub major_faults: Option<u64>,
    /// Resident memory.
    pub rss_bytes: Option<u64>,
    /// Virtual memory.
    pub vm_bytes: Option<u64>,
    /// Bytes that it caused to be read from storage.
    pub read_bytes: Option<u64>,
    /// Bytes that it caused to be written to storage.
    pub write_bytes: Option<u64>,
    /// The threads that sleep, whose time is not yet in the fields of this row:
    /// [`at`](Self::at) adds it. Empty in a row of [`ProcessList::iter`], which
    /// has added it.
    #[serde(skip)]
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

    /// The interruptible and the uninterruptible sleep of its threads up to a
    /// time.
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

/// Of two parts of a sum of which both are known.
pub(crate) fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    Some(one?.saturating_add(other?))
}

/// What a task does, by the letters of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// `R`: running, or waits for a CPU.
    Running,
    /// `S`: sleeps until something happens or a signal comes.
    Sleeping,
    /// `D`: sleeps and takes no signal, mostly for I/O.
    DiskSleep,
    /// `T`: stopped by a signal.
    Stopped,
    /// `t`: stopped by its tracer.
    TracingStop,
    /// `Z`: has ended, and its parent has not asked for its status yet.
    Zombie,
    /// `X`: has ended.
    Dead,
    /// `I`: a kernel thread with nothing to do.
    Idle,
    /// `P`: parked.
    Parked,
}

impl ProcessState {
    /// The letter that `/proc/PID/stat` shows.
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

    /// The state that a letter of `/proc/PID/stat` stands for; `None` for a
    /// letter that this version does not know.
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

/// The sums over all processes that ended since the collector began.
///
/// Of a process that was there before the collector, what it used before is
/// in here too once it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitedTotals {
    /// How many processes ended.
    pub processes: Option<u64>,
    /// Their time on a CPU.
    pub cpu_ns: Option<u64>,
    /// The part of it in user mode.
    pub user_ns: Option<u64>,
    /// The part of it in kernel mode.
    pub system_ns: Option<u64>,
    /// Their wait for a CPU.
    pub runqueue_ns: Option<u64>,
    /// Their off-CPU time in sleep: the sum of the two kinds that follow.
    pub blocked_ns: Option<u64>,
    /// Their time in interruptible sleep.
    pub interruptible_sleep_ns: Option<u64>,
    /// Their time in uninterruptible sleep.
    pub uninterruptible_sleep_ns: Option<u64>,
    /// Their voluntary switches.
    pub voluntary_switches: Option<u64>,
    /// Their involuntary switches.
    pub involuntary_switches: Option<u64>,
    /// Their minor page faults.
    pub minor_faults: Option<u64>,
    /// Their major page faults.
    pub major_faults: Option<u64>,
}

impl Reading for ProcessStats {
    const METRIC: MetricInfo = MetricInfo {
        name: "process_stats",
        tier: Tier::Fast,
        kind: Kind::State,
        help: "CPU time, run-queue wait, sleep, switches, memory and I/O, per process",
    };

    fn heap_bytes(&self) -> usize {
        self.processes.heap_bytes() + self.cgroups.owned_bytes()
    }

    /// Keeps the processes that have used the most time on a CPU.
    fn cut_to(&self, max_bytes: usize) -> Option<Self> {
        Some(other_processes::cut(self, max_bytes))
    }
}
