use collector_ebpf::{CpuCounters, CpuReading};

/// How far the scheduler's clock is behind the programs': `bpf_ktime_get_ns`
/// less `sched_clock_cpu`, in the numbers that wrap around.
///
/// No helper tells the scheduler's clock, but a slice that has just begun
/// does: `sched_switch` fires just after `update_rq_clock`, so its time is
/// known by both. The clock of the programs is steered to keep the right time,
/// so the distance changes, by some microseconds a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SchedulerClock {
    behind_ns: u64,
}

impl SchedulerClock {
    /// From a slice that nothing has been charged of yet, on a CPU whose clock
    /// has not moved since. `charged_before_ns` is what the thread had been
    /// charged when it got the CPU.
    pub(super) fn of_slice(reading: &CpuReading, charged_before_ns: u64) -> Option<Self> {
        let is_new = reading.since_ns != 0
            && reading.cpu_ns == charged_before_ns
            && reading.charged_until_ns == reading.clock_task_ns;
        is_new.then(|| Self {
            behind_ns: reading.since_ns.wrapping_sub(reading.clock_ns),
        })
    }

    /// As a CPU found it at one of its switches, which may be a while ago;
    /// `None` if it cannot read the scheduler's clock.
    pub(super) fn noted(counters: &CpuCounters) -> Option<Self> {
        (counters.clock_looked_ns != 0).then_some(Self {
            behind_ns: counters.clock_behind_ns,
        })
    }

    /// The lesser distance of two: the time of a slice is never noted before
    /// it begins.
    pub(super) fn nearer(self, other: Self) -> Self {
        if self.behind_ns.wrapping_sub(other.behind_ns).cast_signed() < 0 {
            self
        } else {
            other
        }
    }
}

/// What the current thread of a CPU has used since it was charged last.
///
/// As `update_curr` of `kernel/sched/fair.c` would charge it at the time of
/// the reading: the time by `rq.clock_task`, which leaves out what was stolen
/// and what went to interrupts. It is not more than the time by the clock that
/// all can see, so it is right where the scheduler's clock is not known. Where
/// neither that is nor since when the thread has had its CPU, it is 0.
pub(super) fn uncharged_ns(
    reading: &CpuReading,
    charged_before_ns: u64,
    clock: Option<SchedulerClock>,
) -> u64 {
    let charged = reading.cpu_ns.saturating_sub(charged_before_ns);
    let most = reading
        .at_ns
        .saturating_sub(reading.since_ns)
        .saturating_sub(charged);
    let Some(clock) = clock else {
        return if reading.since_ns == 0 { 0 } else { most };
    };
    let not_the_tasks = reading.clock_ns.wrapping_sub(reading.clock_task_ns);
    let now = reading
        .at_ns
        .wrapping_sub(clock.behind_ns)
        .wrapping_sub(not_the_tasks);
    let uncharged = now.wrapping_sub(reading.charged_until_ns).cast_signed();
    u64::try_from(uncharged).unwrap_or(0).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Got its CPU at 1,000, with 70 used before; was charged 300 at 1,400, of
    /// which 100 were stolen; now it is 1,550. The scheduler's clock is 900
    /// behind, and 40 were stolen before.
    fn reading() -> CpuReading {
        CpuReading {
            at_ns: 1_550,
            since_ns: 1_000,
            cpu_ns: 370,
            clock_ns: 500,
            clock_task_ns: 360,
            charged_until_ns: 360,
            ..CpuReading::default()
        }
    }

    #[test]
    fn a_slice_that_has_just_begun_tells_the_clock() {
        let mut slice = CpuReading {
            cpu_ns: 70,
            clock_ns: 100,
            clock_task_ns: 60,
            charged_until_ns: 60,
            ..reading()
        };
        let clock = SchedulerClock::of_slice(&slice, 70);
        assert_eq!(clock, Some(SchedulerClock { behind_ns: 900 }));
        slice.clock_task_ns = 80;
        assert_eq!(SchedulerClock::of_slice(&slice, 70), None, "it has moved");
        assert_eq!(SchedulerClock::of_slice(&reading(), 70), None, "charged");
        slice.clock_task_ns = 60;
        slice.since_ns = 0;
        assert_eq!(SchedulerClock::of_slice(&slice, 70), None, "unknown");
    }

    #[test]
    fn a_cpu_that_has_looked_tells_the_clock() {
        let mut counters = CpuCounters {
            clock_behind_ns: 900,
            ..CpuCounters::default()
        };
        assert_eq!(SchedulerClock::noted(&counters), None);
        counters.clock_looked_ns = 1;
        let clock = SchedulerClock::noted(&counters);
        assert_eq!(clock, Some(SchedulerClock { behind_ns: 900 }));
    }

    #[test]
    fn stolen_time_is_left_out_where_the_clock_is_known() {
        let clock = Some(SchedulerClock { behind_ns: 900 });
        assert_eq!(uncharged_ns(&reading(), 70, clock), 150);
        assert_eq!(uncharged_ns(&reading(), 70, None), 250);
    }

    #[test]
    fn where_the_switch_was_hidden_only_the_scheduler_tells() {
        let slice = CpuReading {
            since_ns: 0,
            ..reading()
        };
        let clock = Some(SchedulerClock { behind_ns: 900 });
        assert_eq!(uncharged_ns(&slice, 70, clock), 150);
        assert_eq!(uncharged_ns(&slice, 70, None), 0);
    }

    #[test]
    fn a_wrong_clock_adds_no_more_than_the_time_that_has_passed() {
        let ahead = Some(SchedulerClock { behind_ns: 0 });
        assert_eq!(uncharged_ns(&reading(), 70, ahead), 250);
        let behind = Some(SchedulerClock { behind_ns: 5_000 });
        assert_eq!(uncharged_ns(&reading(), 70, behind), 0);
    }

    #[test]
    fn of_two_distances_the_lesser_is_taken_also_below_zero() {
        let small = SchedulerClock {
            behind_ns: 5u64.wrapping_neg(),
        };
        let large = SchedulerClock { behind_ns: 3 };
        assert_eq!(small.nearer(large), small);
        assert_eq!(large.nearer(small), small);
    }
}
