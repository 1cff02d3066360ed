use std::sync::Arc;

use collector_ebpf::{KERNEL_THREAD, Thread};

use super::{
    cgroups::Place,
    counters::{Counters, Split, exited_totals},
    known::Known,
};
use crate::{
    metric::{Process, ProcessState},
    source::cgroup::Usage,
};

/// A process is told from another with the same number by when it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) pid: u32,
    pub(crate) start_ns: u64,
}

/// One process: who it is, and what its threads used so far.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) ppid: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) comm: Arc<str>,
    pub(crate) cmdline: Option<Arc<str>>,
    /// The kernel's number of the program whose arguments these are.
    pub(crate) exec_id: Option<u64>,
    pub(crate) place: Place,
    pub(crate) kernel_thread: Option<bool>,
    pub(crate) state: Option<ProcessState>,
    /// How many of its threads have a record.
    pub(crate) threads: u32,
    pub(crate) counters: Counters,
    pub(crate) split: Split,
    /// What was published last: an estimate of the time in flight may have
    /// been too high, and totals never shrink.
    pub(crate) published_cpu_ns: u64,
    published_runqueue_ns: u64,
    pub(crate) rss_bytes: Option<u64>,
    pub(crate) vm_bytes: Option<u64>,
    pub(crate) read_bytes: Option<u64>,
    pub(crate) write_bytes: Option<u64>,
    /// The wait status, once all its threads have begun to exit.
    pub(crate) ending: Option<u32>,
    /// Whether its name and its parent are known.
    pub(crate) is_identified: bool,
    /// Whether what its threads used that ended before the start is in
    /// `counters`, or there were none.
    pub(crate) has_base: bool,
    /// What the present pass over all tasks has added up.
    pub(crate) pass: Pass,
    /// The last round of passes that came by a thread of it that had not
    /// ended, or in which the process was first seen.
    pub(crate) round: u64,
    /// Whether its row is not what it was in the last reading.
    pub(crate) is_changed: bool,
}

/// What a pass over all tasks has added up of one process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pass {
    pub(crate) number: u64,
    pub(crate) read_bytes: u64,
    pub(crate) write_bytes: u64,
}

/// Time that has passed but was not charged yet, because the thread has not
/// left its CPU, or has not got one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InFlight {
    pub(crate) cpu_ns: u64,
    pub(crate) runqueue_ns: u64,
    /// Whether the leading thread has a CPU.
    pub(crate) is_running: bool,
}

impl Account {
    /// A process that no pass over all tasks has come by yet.
    pub(crate) fn first_seen_in(round: u64) -> Self {
        Self {
            round,
            ..Self::default()
        }
    }

    pub(crate) fn set_flags(&mut self, flags: u32) {
        self.kernel_thread = Some(flags & KERNEL_THREAD != 0);
    }

    /// What it used up to now, as far as it is charged or was published.
    pub(crate) fn used(&mut self, key: Key, known: &Known) -> Usage {
        Usage::of(&self.row(key, InFlight::default(), known))
    }

    /// What it used in its whole life, once that is over: without what was
    /// published of time in flight and was too much.
    pub(crate) fn ended(&self, known: &Known) -> Usage {
        let ended = exited_totals(1, &self.counters, self.split, known);
        Usage::of(&Process {
            cpu_ns: ended.cpu_ns,
            user_ns: ended.user_ns,
            system_ns: ended.system_ns,
            runqueue_ns: ended.runqueue_ns,
            blocked_ns: ended.blocked_ns,
            voluntary_switches: ended.voluntary_switches,
            involuntary_switches: ended.involuntary_switches,
            minor_faults: ended.minor_faults,
            major_faults: ended.major_faults,
            ..Process::default()
        })
    }

    /// The row of this process.
    pub(crate) fn row(&mut self, key: Key, in_flight: InFlight, known: &Known) -> Process {
        let counters = &self.counters;
        let cpu_ns = (counters.cpu_ns + in_flight.cpu_ns).max(self.published_cpu_ns);
        let runqueue_ns =
            (counters.runqueue_ns + in_flight.runqueue_ns).max(self.published_runqueue_ns);
        self.published_cpu_ns = cpu_ns;
        self.published_runqueue_ns = runqueue_ns;
        self.split
            .advance(cpu_ns, counters.user_ns, counters.system_ns);
        let kernel_thread = self.kernel_thread;
        let of_user = |value: Option<u64>| {
            if kernel_thread == Some(true) {
                Some(0)
            } else {
                value
            }
        };
        Process {
            pid: key.pid,
            ppid: self.ppid,
            start_time_ns: key.start_ns,
            comm: Arc::clone(&self.comm),
            cmdline: self.cmdline.clone(),
            state: if in_flight.is_running {
                Some(ProcessState::Running)
            } else {
                self.state
            },
            kernel_thread,
            uid: self.uid,
            cgroup: self.place.path.clone(),
            container: self.place.container.clone(),
            // The leading thread counts until the last of the others has ended.
            threads: Some(self.threads + u32::from(self.state == Some(ProcessState::Zombie))),
            cpu_ns: Some(cpu_ns),
            user_ns: known.split.then_some(self.split.user_ns),
            system_ns: known.split.then_some(self.split.system_ns),
            runqueue_ns: known.runqueue.then_some(runqueue_ns),
            blocked_ns: known.blocked.then_some(counters.blocked_ns),
            voluntary_switches: Some(counters.voluntary_switches),
            involuntary_switches: Some(counters.involuntary_switches),
            minor_faults: known.minor_faults.then_some(counters.minor_faults),
            major_faults: known.major_faults.then_some(counters.major_faults),
            rss_bytes: if known.rss {
                of_user(self.rss_bytes)
            } else {
                None
            },
            vm_bytes: if known.vm {
                of_user(self.vm_bytes)
            } else {
                None
            },
            read_bytes: if known.read_bytes {
                self.read_bytes
            } else {
                None
            },
            write_bytes: if known.write_bytes {
                self.write_bytes
            } else {
                None
            },
        }
    }
}

/// Since when a thread waits for a CPU, if it does: it was preempted, or the
/// wakeups are watched and one was seen.
pub(crate) const fn waits_since(thread: &Thread) -> Option<u64> {
    if thread.woken_at_ns != 0 {
        Some(thread.woken_at_ns)
    } else if thread.task_state == 0 && thread.left_at_ns != 0 {
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
