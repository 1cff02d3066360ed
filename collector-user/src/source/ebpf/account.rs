use std::sync::Arc;

use collector_ebpf::{KERNEL_THREAD, THREAD_LIVE, Thread, UNSEEN, is_uninterruptible, sleeps};

use super::{
    cgroups::Place,
    counters::{Counters, Split, exited_totals},
    known::Known,
};
use crate::{
    metric::{Asleep, Process, ProcessState, Sleepers, sum},
    source::cgroup::Usage,
};

/// A process is told from another with the same number by when it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) pid: u32,
    pub(crate) start_ns: u64,
}

/// A process, and where its account was when it was found last: there it is
/// looked for first, and mostly is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Located {
    pid: u32,
    pub(crate) place: u32,
    start_ns: u64,
}

impl Located {
    /// A process that is not known to have an account.
    pub(crate) const fn nowhere(key: Key) -> Self {
        Self {
            pid: key.pid,
            place: u32::MAX,
            start_ns: key.start_ns,
        }
    }

    pub(crate) const fn key(&self) -> Key {
        Key {
            pid: self.pid,
            start_ns: self.start_ns,
        }
    }
}

/// One process: who it is, and what its threads used so far.
///
/// There are as many as there are processes, so nothing is kept twice: what the
/// row shows is kept in the row.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is true or not of a process whatever the others are"
)]
pub(crate) struct Account {
    /// Where it is among the accounts, kept by those.
    pub(crate) located: Located,
    /// The row as it was made last, but for the fields below. Shared with the
    /// readings that have it.
    pub(crate) row: Arc<Process>,
    pub(crate) counters: Counters,
    /// Its threads that sleep, by their records.
    pub(crate) asleep: Asleep,
    /// The time as of which the row was made.
    renewed_ns: u64,
    pub(crate) place: Place,
    /// The kernel's number of the program that it executes, as far as it
    /// matters: whether it is another one.
    pub(crate) exec_id: Option<u32>,
    /// How many of its threads have a record.
    pub(crate) threads: u32,
    /// The wait status, once all its threads have begun to exit.
    pub(crate) ending: Option<u32>,
    /// The last round of passes that came by a thread of it that had not
    /// ended, or in which the process was first seen.
    pub(crate) round: u32,
    pub(crate) state: Option<ProcessState>,
    pub(crate) kernel_thread: Option<bool>,
    /// Whether its name and its parent are known.
    pub(crate) is_identified: bool,
    /// Whether what its threads used that ended before the start is in
    /// `counters`, or there were none.
    pub(crate) has_base: bool,
    /// Whether its row is not what it was in the last reading.
    pub(crate) is_changed: bool,
    /// Whether all its threads have exited, and it is not yet reaped.
    pub(crate) is_zombie: bool,
}

/// Time that has passed but was not charged yet, because the thread has not
/// left its CPU, or has not got one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InFlight {
    pub(crate) cpu_ns: u64,
    pub(crate) runqueue_ns: u64,
    /// Threads that sleep by their records, and have a CPU by now.
    pub(crate) awake: Asleep,
    /// Whether the leading thread has a CPU.
    pub(crate) is_running: bool,
}

/// The time of a row, and when rows were shown last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) now_ns: u64,
    pub(crate) shown_ns: u64,
}

impl Account {
    /// A process that no pass over all tasks has come by yet.
    pub(crate) fn first_seen_in(round: u32, key: Key) -> Self {
        Self {
            located: Located::nowhere(key),
            row: Arc::new(Process {
                pid: key.pid,
                start_time_ns: key.start_ns,
                ..Process::default()
            }),
            counters: Counters::default(),
            asleep: Asleep::default(),
            renewed_ns: 0,
            place: Place::default(),
            exec_id: None,
            threads: 0,
            ending: None,
            round,
            state: None,
            kernel_thread: None,
            is_identified: false,
            has_base: false,
            is_changed: false,
            is_zombie: false,
        }
    }

    pub(crate) const fn key(&self) -> Key {
        self.located.key()
    }

    /// The row, to change what is not made anew with each reading.
    pub(crate) fn edit(&mut self) -> &mut Process {
        Arc::make_mut(&mut self.row)
    }

    pub(crate) fn set_flags(&mut self, flags: u32) {
        self.kernel_thread = Some(flags & u32::from(KERNEL_THREAD) != 0);
    }

    /// What it used up to now, as far as it is charged or was published.
    pub(crate) fn used(&mut self, known: &Known, times: Times) -> Usage {
        Usage::of(self.renew(InFlight::default(), known, times))
    }

    /// What it used in its whole life, once that is over: without what was
    /// published of time in flight and was too much.
    pub(crate) fn ended(&self, known: &Known) -> Usage {
        let ended = exited_totals(1, &self.counters, self.split(), known);
        Usage::of(&Process {
            cpu_ns: ended.cpu_ns,
            user_ns: ended.user_ns,
            system_ns: ended.system_ns,
            runqueue_ns: ended.runqueue_ns,
            blocked_ns: ended.blocked_ns,
            interruptible_sleep_ns: ended.interruptible_sleep_ns,
            uninterruptible_sleep_ns: ended.uninterruptible_sleep_ns,
            voluntary_switches: ended.voluntary_switches,
            involuntary_switches: ended.involuntary_switches,
            minor_faults: ended.minor_faults,
            major_faults: ended.major_faults,
            ..Process::default()
        })
    }

    /// The split of its time in the row.
    pub(crate) fn split(&self) -> Split {
        Split {
            user_ns: self.row.user_ns.unwrap_or(0),
            system_ns: self.row.system_ns.unwrap_or(0),
        }
    }

    /// Brings the row up to date.
    ///
    /// An estimate of the time in flight may have been too high, and totals
    /// never shrink.
    pub(crate) fn renew(
        &mut self,
        in_flight: InFlight,
        known: &Known,
        times: Times,
    ) -> &Arc<Process> {
        let counters = &self.counters;
        let asleep = self.asleep.without(&in_flight.awake);
        // The row may have been made anew since it was shown.
        let sleep_shown = self.row.slept_ns(self.renewed_ns.max(times.shown_ns));
        self.renewed_ns = times.now_ns;
        // A thread that was woken and waits for a CPU is taken to sleep until
        // it has one.
        let slept = |ended_ns: u64, sleepers: &Sleepers, shown_ns: Option<u64>| {
            let now_ns = ended_ns.saturating_add(sleepers.slept_ns(times.now_ns));
            let taken_back_ns = shown_ns.unwrap_or(0).saturating_sub(now_ns);
            ended_ns.saturating_add(taken_back_ns)
        };
        let interruptible_ns = slept(
            counters.interruptible_ns,
            &asleep.interruptible,
            sleep_shown[0],
        );
        let uninterruptible_ns = slept(
            counters.uninterruptible_ns,
            &asleep.uninterruptible,
            sleep_shown[1],
        );
        let at_least = |value: u64, shown: Option<u64>| value.max(shown.unwrap_or(0));
        let cpu_ns = at_least(counters.cpu_ns + in_flight.cpu_ns, self.row.cpu_ns);
        let runqueue_ns = at_least(
            counters.runqueue_ns + in_flight.runqueue_ns,
            self.row.runqueue_ns,
        );
        let mut split = self.split();
        split.advance(cpu_ns, counters.user_ns, counters.system_ns);
        let row = Arc::make_mut(&mut self.row);
        row.state = if in_flight.is_running {
            Some(ProcessState::Running)
        } else {
            self.state
        };
        row.kernel_thread = self.kernel_thread;
        if row.cgroup != self.place.path {
            row.cgroup.clone_from(&self.place.path);
        }
        if row.container != self.place.container {
            row.container.clone_from(&self.place.container);
        }
        // The leading thread counts until the last of the others has ended.
        row.threads = Some(self.threads + u32::from(self.state == Some(ProcessState::Zombie)));
        row.cpu_ns = Some(cpu_ns);
        row.user_ns = known.split.then_some(split.user_ns);
        row.system_ns = known.split.then_some(split.system_ns);
        row.runqueue_ns = known.runqueue.then_some(runqueue_ns);
        row.interruptible_sleep_ns = known.sleep.then_some(interruptible_ns);
        row.uninterruptible_sleep_ns = known.sleep.then_some(uninterruptible_ns);
        row.blocked_ns = sum(row.interruptible_sleep_ns, row.uninterruptible_sleep_ns);
        row.asleep = if known.sleep {
            asleep
        } else {
            Asleep::default()
        };
        row.voluntary_switches = Some(counters.voluntary_switches);
        row.involuntary_switches = Some(counters.involuntary_switches);
        row.minor_faults = known.minor_faults.then_some(counters.minor_faults);
        row.major_faults = known.major_faults.then_some(counters.major_faults);
        if self.kernel_thread == Some(true) || self.is_zombie {
            row.rss_bytes = known.rss.then_some(0);
            row.vm_bytes = known.vm.then_some(0);
        }
        &self.row
    }
}

/// The sleep of a thread that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sleep {
    pub(crate) since_ns: u64,
    pub(crate) is_uninterruptible: bool,
}

impl Sleep {
    /// That of a thread by its record: it may have got a CPU since that was
    /// written.
    pub(crate) fn of(thread: &Thread) -> Option<Self> {
        let is_asleep = sleeps(thread.task_state)
            && thread.state == THREAD_LIVE
            && !matches!(thread.left_at_ns, 0 | UNSEEN);
        is_asleep.then_some(Self {
            since_ns: thread.left_at_ns,
            is_uninterruptible: is_uninterruptible(thread.task_state),
        })
    }
}

/// Since when a thread waits for a CPU, if it has none and does: it was
/// preempted, or the wakeups are watched and one was seen.
pub(crate) const fn waits_since(thread: &Thread) -> Option<u64> {
    if thread.task_state == 0 && !matches!(thread.left_at_ns, 0 | UNSEEN) {
        Some(thread.left_at_ns)
    } else {
        None
    }
}

/// What `task_struct.__state` stands for, by the bits of
/// `include/linux/sched.h` that have not changed since 4.14.
pub(crate) fn process_state(task_state: u32) -> ProcessState {
    const INTERRUPTIBLE: u32 = 0x1;
    const UNINTERRUPTIBLE: u32 = 0x2;
    // As the kernel shows these two: `task_state_index` of the same file.
    const RTLOCK_WAIT: u32 = 0x1000;
    const FROZEN: u32 = 0x8000;
    const STOPPED: u32 = 0x4;
    const TRACED: u32 = 0x8;
    const PARKED: u32 = 0x40;
    const DEAD: u32 = 0x80;
    const NOLOAD: u32 = 0x400;
    if task_state & DEAD != 0 {
        ProcessState::Dead
    } else if task_state & STOPPED != 0 {
        ProcessState::Stopped
    } else if task_state & TRACED != 0 {
        ProcessState::TracingStop
    } else if task_state & PARKED != 0 {
        ProcessState::Parked
    } else if task_state & (RTLOCK_WAIT | FROZEN) != 0 {
        ProcessState::DiskSleep
    } else if task_state & UNINTERRUPTIBLE != 0 {
        if task_state & NOLOAD != 0 {
            ProcessState::Idle
        } else {
            ProcessState::DiskSleep
        }
    } else if task_state & INTERRUPTIBLE != 0 {
        ProcessState::Sleeping
    } else {
        ProcessState::Running
    }
}
