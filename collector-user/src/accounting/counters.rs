use collector_ebpf::{TaskEntry, Thread};

/// The counters of a thread, of a process, or of all exited processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) cpu_ns: u64,
    /// As sampled by the timer tick; see [`CpuTimeSplit`](super::CpuTimeSplit).
    pub(crate) user_ns: u64,
    /// As sampled by the timer tick; see [`CpuTimeSplit`](super::CpuTimeSplit).
    pub(crate) system_ns: u64,
    pub(crate) runqueue_ns: u64,
    pub(crate) interruptible_ns: u64,
    pub(crate) uninterruptible_ns: u64,
    pub(crate) voluntary_switches: u64,
    pub(crate) involuntary_switches: u64,
    pub(crate) minor_faults: u64,
    pub(crate) major_faults: u64,
}

impl Counters {
    /// The counters of a thread record.
    pub(crate) const fn of_record(record: &Thread) -> Self {
        Self {
            cpu_ns: record.cpu_ns,
            user_ns: record.user_ns,
            system_ns: record.system_ns,
            runqueue_ns: record.runqueue_ns,
            interruptible_ns: record.interruptible_ns,
            uninterruptible_ns: record.uninterruptible_ns,
            voluntary_switches: record.voluntary_switches,
            involuntary_switches: record.involuntary_switches,
            minor_faults: record.minor_faults,
            major_faults: record.major_faults,
        }
    }

    /// The counters of the threads of a process that exited before the programs
    /// were attached.
    pub(crate) const fn of_exited_threads(entry: &TaskEntry) -> Self {
        Self {
            cpu_ns: entry.ended_cpu_ns,
            user_ns: entry.ended_user_ns,
            system_ns: entry.ended_system_ns,
            runqueue_ns: 0,
            interruptible_ns: 0,
            uninterruptible_ns: 0,
            voluntary_switches: entry.ended_voluntary_switches,
            involuntary_switches: entry.ended_involuntary_switches,
            minor_faults: entry.ended_minor_faults,
            major_faults: entry.ended_major_faults,
        }
    }

    /// Combines each counter with that of another.
    fn zip(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            cpu_ns: combine(self.cpu_ns, other.cpu_ns),
            user_ns: combine(self.user_ns, other.user_ns),
            system_ns: combine(self.system_ns, other.system_ns),
            runqueue_ns: combine(self.runqueue_ns, other.runqueue_ns),
            interruptible_ns: combine(self.interruptible_ns, other.interruptible_ns),
            uninterruptible_ns: combine(self.uninterruptible_ns, other.uninterruptible_ns),
            voluntary_switches: combine(self.voluntary_switches, other.voluntary_switches),
            involuntary_switches: combine(self.involuntary_switches, other.involuntary_switches),
            minor_faults: combine(self.minor_faults, other.minor_faults),
            major_faults: combine(self.major_faults, other.major_faults),
        }
    }

    /// Advances to newer values, and returns the growth of each. A value that is
    /// lower than before counts as unchanged: the record was read while it was
    /// being written.
    pub(crate) fn advance(&mut self, newer: &Self) -> Self {
        let highest = self.zip(newer, u64::max);
        let growth = highest.zip(self, u64::saturating_sub);
        *self = highest;
        growth
    }

    /// Interruptible and uninterruptible sleep.
    pub(crate) const fn slept_ns(&self) -> u64 {
        self.interruptible_ns
            .saturating_add(self.uninterruptible_ns)
    }

    /// Adds the counters of another.
    pub(crate) fn add(&mut self, other: &Self) {
        *self = self.zip(other, u64::saturating_add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_returned_once_and_never_below_zero() {
        let mut last = Counters {
            cpu_ns: 100,
            runqueue_ns: 50,
            ..Counters::default()
        };
        let newer = Counters {
            cpu_ns: 130,
            runqueue_ns: 40,
            ..Counters::default()
        };
        let growth = last.advance(&newer);
        assert_eq!((growth.cpu_ns, growth.runqueue_ns), (30, 0));
        assert_eq!((last.cpu_ns, last.runqueue_ns), (130, 50));
        assert_eq!(last.advance(&newer), Counters::default());
    }
}
