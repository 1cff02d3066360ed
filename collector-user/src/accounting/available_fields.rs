use super::{Counters, CpuTimeSplit};
use crate::metric::ProcessCounters;

/// Which fields the attached programs and the running kernel provide. The others
/// are `None` in readings, because 0 would be read as a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each field is available independently of the others"
)]
pub(crate) struct AvailableFields {
    /// User and system time.
    pub(crate) split: bool,
    pub(crate) runqueue: bool,
    pub(crate) sleep: bool,
    pub(crate) wakeups: bool,
    pub(crate) minor_faults: bool,
    pub(crate) major_faults: bool,
    pub(crate) read_bytes: bool,
    pub(crate) write_bytes: bool,
    pub(crate) rss: bool,
    pub(crate) vm: bool,
    /// Command names; without them they are read from `/proc`.
    pub(crate) comm: bool,
    /// The parents of processes that existed before the programs.
    pub(crate) parents: bool,
    pub(crate) exit_status: bool,
    /// cgroup v2 IDs.
    pub(crate) cgroups: bool,
    /// Whether the program on `sched_process_fork` is attached.
    pub(crate) forks: bool,
    /// Whether the program on `sched_process_exec` is attached.
    pub(crate) execs: bool,
    /// Whether the program on `sched_process_exit` is attached.
    pub(crate) exits: bool,
}

impl AvailableFields {
    /// Every field.
    #[cfg(test)]
    pub(crate) const ALL: Self = Self {
        split: true,
        runqueue: true,
        sleep: true,
        wakeups: true,
        minor_faults: true,
        major_faults: true,
        read_bytes: true,
        write_bytes: true,
        rss: true,
        vm: true,
        comm: true,
        parents: true,
        exit_status: true,
        cgroups: true,
        forks: true,
        execs: true,
        exits: true,
    };

    /// The counters that are published, without those that are not available.
    #[inline]
    pub(super) fn counters(&self, counters: &Counters, split: CpuTimeSplit) -> ProcessCounters {
        ProcessCounters {
            cpu_ns: Some(counters.cpu_ns),
            user_ns: self.split.then_some(split.user_ns),
            system_ns: self.split.then_some(split.system_ns),
            runqueue_ns: self.runqueue.then_some(counters.runqueue_ns),
            blocked_ns: self.sleep.then_some(counters.slept_ns()),
            interruptible_sleep_ns: self.sleep.then_some(counters.interruptible_ns),
            uninterruptible_sleep_ns: self.sleep.then_some(counters.uninterruptible_ns),
            voluntary_switches: Some(counters.voluntary_switches),
            involuntary_switches: Some(counters.involuntary_switches),
            minor_faults: self.minor_faults.then_some(counters.minor_faults),
            major_faults: self.major_faults.then_some(counters.major_faults),
            read_bytes: None,
            write_bytes: None,
        }
    }
}
