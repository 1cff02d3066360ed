use collector_ebpf::{CpuCounters, CpuReading};

/// The offset of the scheduler's clock: `bpf_ktime_get_ns` minus
/// `sched_clock_cpu`, modulo 2^64. `None` if no CPU has measured it.
///
/// No BPF helper reads the scheduler's clock, but at a switch its time is in the
/// run queue, and there each CPU measures the offset at an interval. It changes
/// by some microseconds per second, because `CLOCK_MONOTONIC` is slewed: so the
/// last measurement is used.
pub(crate) fn clock_offset_ns(cpus: impl Iterator<Item = CpuCounters>) -> Option<u64> {
    let measured = cpus.filter(|cpu| cpu.clock_synced_ns != 0);
    let latest = measured.max_by_key(|cpu| cpu.clock_synced_ns)?;
    Some(latest.clock_offset_ns)
}

/// The CPU time of the current thread of a CPU since it was last charged.
///
/// The amount that `update_curr` of `kernel/sched/fair.c` would charge at the
/// time of the reading: the time by `rq.clock_task`, which excludes steal time
/// and time in interrupts. It is limited to the time by `CLOCK_MONOTONIC` since
/// the switch-in, if that was seen; and it is that time if the
/// [offset](clock_offset_ns) of the scheduler's clock is unknown. If neither is
/// known, it is 0.
pub(super) fn uncharged_ns(
    reading: &CpuReading,
    charged_before_ns: u64,
    clock_offset_ns: Option<u64>,
) -> u64 {
    let charged = reading.cpu_ns.saturating_sub(charged_before_ns);
    let most = reading.since_ns().map(|since_ns| {
        let passed = reading.at_ns.saturating_sub(since_ns);
        passed.saturating_sub(charged)
    });
    let Some(clock_offset_ns) = clock_offset_ns else {
        return most.unwrap_or(0);
    };
    let steal_and_irq = reading.clock_ns.wrapping_sub(reading.clock_task_ns);
    let now = reading
        .at_ns
        .wrapping_sub(clock_offset_ns)
        .wrapping_sub(steal_and_irq);
    let uncharged = now.wrapping_sub(reading.exec_start_ns).cast_signed();
    let uncharged = u64::try_from(uncharged).unwrap_or(0);
    most.map_or(uncharged, |most| uncharged.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Switched in at 1,000 with 70 of CPU time; charged 300 at 1,400, with 100
    /// of steal time; read at 1,550. The offset of the scheduler's clock is 900,
    /// and 40 were stolen before.
    fn reading() -> CpuReading {
        CpuReading {
            at_ns: 1_550,
            switched_in_ns: 1_000,
            switched_in_task: 16,
            task: 16,
            cpu_ns: 370,
            clock_ns: 500,
            clock_task_ns: 360,
            exec_start_ns: 360,
            ..CpuReading::default()
        }
    }

    #[test]
    fn the_last_measured_clock_offset_is_used() {
        let cpu = |clock_synced_ns, clock_offset_ns| CpuCounters {
            clock_synced_ns,
            clock_offset_ns,
            ..CpuCounters::default()
        };
        let never = cpu(0, 0);
        assert_eq!(clock_offset_ns([never].into_iter()), None);
        let (long_ago, latest) = (cpu(70, 3), cpu(80, 5u64.wrapping_neg()));
        let cpus = [never, latest, long_ago];
        assert_eq!(
            clock_offset_ns(cpus.into_iter()),
            Some(latest.clock_offset_ns)
        );
    }

    #[test]
    fn steal_time_is_excluded_if_the_clock_offset_is_known() {
        assert_eq!(uncharged_ns(&reading(), 70, Some(900)), 150);
        assert_eq!(uncharged_ns(&reading(), 70, None), 250);
    }

    #[test]
    fn without_a_seen_switch_in_only_the_scheduler_clock_is_used() {
        let slice = CpuReading {
            switched_in_task: 8,
            ..reading()
        };
        assert_eq!(slice.since_ns(), None);
        assert_eq!(uncharged_ns(&slice, 70, Some(900)), 150);
        assert_eq!(uncharged_ns(&slice, 70, None), 0);
    }

    #[test]
    fn a_wrong_clock_offset_adds_no_more_than_the_elapsed_time() {
        assert_eq!(uncharged_ns(&reading(), 70, Some(0)), 250);
        assert_eq!(uncharged_ns(&reading(), 70, Some(5_000)), 0);
    }
}
