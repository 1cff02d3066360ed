use collector_ebpf::Thread;

use super::known::Known;
use crate::metric::ExitedTotals;

/// What a thread, a process, or all that ended used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) cpu_ns: u64,
    /// As the timer tick saw it; see [`Split`].
    pub(crate) user_ns: u64,
    /// As the timer tick saw it; see [`Split`].
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
    /// The counters of a thread's record.
    pub(crate) const fn of(thread: &Thread) -> Self {
        Self {
            cpu_ns: thread.cpu_ns,
            user_ns: thread.user_ns,
            system_ns: thread.system_ns,
            runqueue_ns: thread.runqueue_ns,
            interruptible_ns: thread.interruptible_ns,
            uninterruptible_ns: thread.uninterruptible_ns,
            voluntary_switches: thread.voluntary_switches,
            involuntary_switches: thread.involuntary_switches,
            minor_faults: thread.minor_faults,
            major_faults: thread.major_faults,
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

    /// Moves on to newer values, and returns by how much each one grew. A
    /// value that is lower than before (the record was read while it was
    /// being written) counts as unchanged.
    pub(crate) fn advance(&mut self, newer: &Self) -> Self {
        let highest = self.zip(newer, u64::max);
        let growth = highest.zip(self, u64::saturating_sub);
        *self = highest;
        growth
    }

    /// Sleep of both kinds.
    pub(crate) const fn slept_ns(&self) -> u64 {
        self.interruptible_ns
            .saturating_add(self.uninterruptible_ns)
    }

    /// Adds another's counters to these.
    pub(crate) fn add(&mut self, other: &Self) {
        *self = self.zip(other, u64::saturating_add);
    }
}

/// The split of CPU time into user and kernel mode.
///
/// The kernel knows the time on a CPU to the nanosecond, but where it was
/// spent only from samples at the timer tick; it shows the exact time in the
/// proportion of the samples, and neither part ever shrinks. This does the
/// same, as `cputime_adjust` in `kernel/sched/cputime.c`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) user_ns: u64,
    pub(crate) system_ns: u64,
}

impl Split {
    /// Moves on to newer totals.
    pub(crate) fn advance(&mut self, cpu_ns: u64, user_sampled: u64, system_sampled: u64) {
        if self.user_ns + self.system_ns >= cpu_ns {
            return;
        }
        let system = if system_sampled == 0 {
            0
        } else if user_sampled == 0 {
            cpu_ns
        } else {
            let sampled = u128::from(user_sampled) + u128::from(system_sampled);
            (u128::from(cpu_ns) * u128::from(system_sampled) / sampled) as u64
        };
        let mut system = system.max(self.system_ns);
        let mut user = cpu_ns.saturating_sub(system);
        if user < self.user_ns {
            user = self.user_ns;
            system = cpu_ns.saturating_sub(user);
        }
        *self = Self {
            user_ns: user,
            system_ns: system,
        };
    }
}

/// Sums over processes, with what the kernel side cannot know left out.
pub(crate) fn exited_totals(
    processes: u64,
    counters: &Counters,
    split: Split,
    known: &Known,
) -> ExitedTotals {
    ExitedTotals {
        processes: Some(processes),
        cpu_ns: Some(counters.cpu_ns),
        user_ns: known.split.then_some(split.user_ns),
        system_ns: known.split.then_some(split.system_ns),
        runqueue_ns: known.runqueue.then_some(counters.runqueue_ns),
        blocked_ns: known.sleep.then_some(counters.slept_ns()),
        interruptible_sleep_ns: known.sleep.then_some(counters.interruptible_ns),
        uninterruptible_sleep_ns: known.sleep.then_some(counters.uninterruptible_ns),
        voluntary_switches: Some(counters.voluntary_switches),
        involuntary_switches: Some(counters.involuntary_switches),
        minor_faults: known.minor_faults.then_some(counters.minor_faults),
        major_faults: known.major_faults.then_some(counters.major_faults),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_once_and_never_below_zero() {
        let mut seen = Counters {
            cpu_ns: 100,
            runqueue_ns: 50,
            ..Counters::default()
        };
        let newer = Counters {
            cpu_ns: 130,
            runqueue_ns: 40,
            ..Counters::default()
        };
        let growth = seen.advance(&newer);
        assert_eq!((growth.cpu_ns, growth.runqueue_ns), (30, 0));
        assert_eq!((seen.cpu_ns, seen.runqueue_ns), (130, 50));
        assert_eq!(seen.advance(&newer), Counters::default());
    }

    #[test]
    fn the_parts_of_cpu_time_add_up_and_never_shrink() {
        let mut split = Split::default();
        split.advance(1_000, 0, 0);
        assert_eq!(
            split,
            Split {
                user_ns: 1_000,
                system_ns: 0
            },
            "without a sample it is user time"
        );
        split.advance(2_000, 4, 4);
        assert_eq!(
            split,
            Split {
                user_ns: 1_000,
                system_ns: 1_000
            }
        );
        split.advance(3_000, 8, 4);
        assert_eq!(
            split,
            Split {
                user_ns: 2_000,
                system_ns: 1_000
            }
        );
        split.advance(3_100, 100, 4);
        assert_eq!(split.user_ns + split.system_ns, 3_100);
        assert!(split.user_ns >= 2_000 && split.system_ns >= 1_000);
        split.advance(10, 100, 4);
        assert_eq!(split.user_ns + split.system_ns, 3_100);
    }
}
