use collector_ebpf::{GROUP_DEAD, Thread};

use super::{
    Counters, ProcessKey,
    process_key::ProcessHandle,
    task_state::{OngoingSleep, process_state, runqueue_wait_start},
};
use crate::metric::{Asleep, ProcessState, Sleepers};

/// A thread record as it was last read.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of a thread that does not depend on the others"
)]
pub(super) struct ThreadAccount {
    pub(super) process: ProcessHandle,
    pub(super) counters: Counters,
    /// The last regular task pass that visited it, or during which the record
    /// was first read.
    pub(super) last_pass: u32,
    /// When its present sleep started; 0 if it is not asleep.
    asleep_since_ns: u64,
    is_uninterruptible: bool,
    /// Whether its record was assigned late, so that its counters up to then are
    /// not added to its process, which does not count it yet.
    pub(super) is_late: bool,
    pub(super) is_leader: bool,
    pub(super) is_dead: bool,
}

/// What a newer record of a thread adds to its process.
#[derive(Clone, Copy, Debug)]
pub(super) struct ThreadChange {
    /// Whether the process did not count the thread before.
    pub(super) is_new: bool,
    /// The flags of the record.
    pub(super) flags: u16,
    pub(super) growth: Counters,
    /// The sleep before and after, if it changed.
    pub(super) sleep: Option<[Asleep; 2]>,
    /// The state, if it is the thread-group leader.
    pub(super) leader_state: Option<ProcessState>,
    /// The wait status of the process, if all its threads have started to exit.
    pub(super) wait_status: Option<u32>,
}

impl ThreadAccount {
    /// A thread of this process that was not read yet.
    pub(super) fn new(process: ProcessKey, pass: u32) -> Self {
        Self {
            process: ProcessHandle::unresolved(process),
            last_pass: pass,
            ..Self::default()
        }
    }

    /// A thread that was assigned its record late, with this CPU time.
    pub(super) fn late(process: ProcessKey, pass: u32, cpu_ns: u64) -> Self {
        Self {
            counters: Counters {
                cpu_ns,
                ..Counters::default()
            },
            is_late: true,
            ..Self::new(process, pass)
        }
    }

    /// The sleep of the thread, according to its record.
    pub(super) fn asleep(&self) -> Asleep {
        let mut asleep = Asleep::default();
        if self.asleep_since_ns != 0 {
            *asleep.of_kind(self.is_uninterruptible) = Sleepers::one(self.asleep_since_ns);
        }
        asleep
    }

    /// Advances to a newer record. `is_new` if the process does not count the
    /// thread yet.
    pub(super) fn advance(&mut self, record: &Thread, is_new: bool) -> ThreadChange {
        let growth = self.counters.advance(&Counters::of_record(record));
        let asleep_before = self.asleep();
        let has_sleep_changed = self.set_sleep(OngoingSleep::of_record(record));
        // `execve` makes the calling thread the thread-group leader.
        self.is_leader = record.tid == record.tgid;
        ThreadChange {
            is_new,
            flags: record.flags,
            growth,
            sleep: has_sleep_changed.then(|| [asleep_before, self.asleep()]),
            leader_state: self.is_leader.then(|| match runqueue_wait_start(record) {
                Some(_) => ProcessState::Running,
                None => process_state(record.task_state),
            }),
            wait_status: (record.flags & GROUP_DEAD != 0).then_some(record.exit_code),
        }
    }

    /// Sets the present sleep, and returns whether it changed.
    fn set_sleep(&mut self, sleep: Option<OngoingSleep>) -> bool {
        let before = (self.asleep_since_ns, self.is_uninterruptible);
        self.asleep_since_ns = sleep.map_or(0, |sleep| sleep.since_ns);
        self.is_uninterruptible = sleep.is_some_and(|sleep| sleep.is_uninterruptible);
        before != (self.asleep_since_ns, self.is_uninterruptible)
    }
}
