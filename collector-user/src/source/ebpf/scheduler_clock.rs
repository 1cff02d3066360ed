use collector_ebpf::{CpuCounters, CpuReading};

/// How far the scheduler's clock is behind the programs': `bpf_ktime_get_ns`
/// less `sched_clock_cpu`, in the numbers that wrap around. `None` if no CPU
/// could read it.
///
/// No helper tells the scheduler's clock, but at a switch its time is in the
/// run queue, and there the CPUs note the distance once in a while. That
/// changes by some microseconds a second, since the clock of the programs is
/// steered to keep the right time: so the one is taken that was noted last.
pub(super) fn behind_ns(cpus: impl Iterator<Item = CpuCounters>) -> Option<u64> {
    let noted = cpus.filter(|cpu| cpu.clock_looked_ns != 0);
    let latest = noted.max_by_key(|cpu| cpu.clock_looked_ns)?;
    Some(latest.clock_behind_ns)
}

/// What the current thread of a CPU has used since it was charged last.
///
/// As `update_curr` of `kernel/sched/fair.c` would charge it at the time of
/// the reading: the time by `rq.clock_task`, which leaves out what was stolen
/// and what went to interrupts. It is not more than the time by the clock that
/// all can see since the thread got its CPU, if that is known; and that is what
/// is told where it is not known how far the scheduler's clock is
/// [behind](behind_ns). Where neither is known, it is 0.
pub(super) fn uncharged_ns(
    reading: &CpuReading,
    charged_before_ns: u64,
    behind_ns: Option<u64>,
) -> u64 {
    let charged = reading.cpu_ns.saturating_sub(charged_before_ns);
    let most = reading.since_ns().map(|since_ns| {
        let passed = reading.at_ns.saturating_sub(since_ns);
        passed.saturating_sub(charged)
    });
    let Some(behind_ns) = behind_ns else {
        return most.unwrap_or(0);
    };
    let not_the_tasks = reading.clock_ns.wrapping_sub(reading.clock_task_ns);
    let now = reading
        .at_ns
        .wrapping_sub(behind_ns)
        .wrapping_sub(not_the_tasks);
    let uncharged = now.wrapping_sub(reading.charged_until_ns).cast_signed();
    let uncharged = u64::try_from(uncharged).unwrap_or(0);
    most.map_or(uncharged, |most| uncharged.min(most))
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
            noted_ns: 1_000,
            noted_task: 16,
            task: 16,
            cpu_ns: 370,
            clock_ns: 500,
            clock_task_ns: 360,
            charged_until_ns: 360,
            ..CpuReading::default()
        }
    }

    #[test]
    fn the_cpu_that_looked_last_tells_the_clock() {
        let cpu = |clock_looked_ns, clock_behind_ns| CpuCounters {
            clock_looked_ns,
            clock_behind_ns,
            ..CpuCounters::default()
        };
        let never = cpu(0, 0);
        assert_eq!(behind_ns([never].into_iter()), None);
        let (long_ago, latest) = (cpu(70, 3), cpu(80, 5u64.wrapping_neg()));
        let cpus = [never, latest, long_ago];
        assert_eq!(behind_ns(cpus.into_iter()), Some(latest.clock_behind_ns));
    }

    #[test]
    fn stolen_time_is_left_out_where_the_clock_is_known() {
        assert_eq!(uncharged_ns(&reading(), 70, Some(900)), 150);
        assert_eq!(uncharged_ns(&reading(), 70, None), 250);
    }

    #[test]
    fn where_the_switch_was_hidden_only_the_scheduler_tells() {
        let slice = CpuReading {
            noted_task: 8,
            ..reading()
        };
        assert_eq!(slice.since_ns(), None);
        assert_eq!(uncharged_ns(&slice, 70, Some(900)), 150);
        assert_eq!(uncharged_ns(&slice, 70, None), 0);
    }

    #[test]
    fn a_wrong_clock_adds_no_more_than_the_time_that_has_passed() {
        assert_eq!(uncharged_ns(&reading(), 70, Some(0)), 250);
        assert_eq!(uncharged_ns(&reading(), 70, Some(5_000)), 0);
    }
}
