//! Counters that may decrease slightly in the kernel.
//!
//! Prometheus takes a counter that decreases for a restart, so its whole value
//! would count as an increase. `iowait` "will decrease in certain conditions",
//! since idle time in flight belongs to `iowait` or to `idle` depending on
//! whether a task of the CPU waits for I/O at the moment of the read; and with
//! `nohz_full` user and system time in flight are estimates:
//! <https://docs.kernel.org/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat>.
//! The readings show the values of the kernel; here the highest value is held
//! until it is exceeded.

use crate::metric::{
    CpuStats, CpuTimes,
    schema::{Record as _, Unit, Value},
};

/// The last reading of the CPUs, in which no counter has decreased.
#[derive(Debug, Default)]
pub(super) struct HeldCpus {
    stats: Option<CpuStats>,
    at_ns: u64,
}

/// By how much later than the other a time may have been read.
const SLACK_NS: u64 = 1_000_000_000;

impl HeldCpus {
    /// Processes a reading of this time on the monotonic clock, in order.
    ///
    /// The counters of a CPU that was not in the reading before start anew.
    pub(super) fn observe(&mut self, stats: &CpuStats, monotonic_ns: u64) {
        let apart_ns = monotonic_ns.saturating_sub(self.at_ns);
        self.at_ns = monotonic_ns;
        let mut held = stats.clone();
        if let Some(before) = &self.stats {
            for cpu in &mut held.cpus {
                let found = before.cpus.binary_search_by_key(&cpu.cpu, |row| row.cpu);
                if let Some(before) = found.ok().and_then(|at| before.cpus.get(at)) {
                    hold(cpu, before, apart_ns);
                }
            }
            hold(&mut held.total, &before.total, apart_ns);
            for (now, before) in [
                (&mut held.forks, before.forks),
                (&mut held.events_dropped, before.events_dropped),
                (&mut held.threads_dropped, before.threads_dropped),
            ] {
                *now = at_least(*now, before);
            }
        }
        self.stats = Some(held);
    }

    /// The reading with held counters.
    pub(super) const fn stats(&self) -> Option<&CpuStats> {
        self.stats.as_ref()
    }
}

fn hold(now: &mut CpuTimes, before: &CpuTimes, apart_ns: u64) {
    // The sum of both is what tells a restart, since what one of them loses,
    // the other gains: before Linux 6.8 both are 0 when a CPU comes online
    // again. <https://git.kernel.org/torvalds/c/71fee48fb772>
    let idle = |cpu: &CpuTimes| match (cpu.idle_ns, cpu.iowait_ns) {
        (Some(idle), Some(iowait)) => Some(idle.saturating_add(iowait)),
        (idle, iowait) => idle.or(iowait),
    };
    let is_idle_restarted = has_restarted(idle(before), idle(now), apart_ns);
    now.visit_counters_mut(&mut |index, now| {
        let before = match before.value(index) {
            Value::Unsigned(before) => Some(before),
            _ => None,
        };
        let is_restarted = match &CpuTimes::INFO.fields[index] {
            field if ["idle_ns", "iowait_ns"].contains(&field.name) => is_idle_restarted,
            field if field.unit == Unit::Nanoseconds => has_restarted(before, *now, apart_ns),
            _ => false,
        };
        if !is_restarted {
            *now = at_least(*now, before);
        }
    });
}

/// The value now, but not less than before.
fn at_least(now: Option<u64>, before: Option<u64>) -> Option<u64> {
    now.map(|now| now.max(before.unwrap_or(0)))
}

/// Whether a time started anew, as that of a CPU that was offline between two
/// readings: then it is at most the time between them, and was more.
fn has_restarted(before: Option<u64>, now: Option<u64>, apart_ns: u64) -> bool {
    let (Some(before), Some(now)) = (before, now) else {
        return false;
    };
    let most = apart_ns.saturating_add(SLACK_NS);
    now <= most && before.saturating_sub(now) > most
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const TICK: u64 = 10_000_000;

    fn cpu(number: u32, user: u64, idle: u64, iowait: u64) -> CpuTimes {
        CpuTimes {
            cpu: Some(number),
            user_ns: Some(user),
            idle_ns: Some(idle),
            iowait_ns: Some(iowait),
            ..CpuTimes::default()
        }
    }

    fn stats(cpus: Vec<CpuTimes>) -> CpuStats {
        CpuStats {
            cpus,
            ..CpuStats::default()
        }
    }

    /// User, idle and iowait time of the first CPU after each reading, which
    /// are a second apart.
    fn shown(readings: &[Vec<CpuTimes>]) -> Vec<(u64, u64, u64)> {
        let mut held = HeldCpus::default();
        let mut shown = Vec::new();
        for (at, cpus) in (0..).zip(readings) {
            held.observe(&stats(cpus.clone()), 1_000 * SECOND + at * SECOND);
            if let Some(cpu) = held.stats().unwrap().cpus.first() {
                let value = |value: Option<u64>| value.unwrap_or(u64::MAX);
                shown.push((value(cpu.user_ns), value(cpu.idle_ns), value(cpu.iowait_ns)));
            }
        }
        shown
    }

    #[test]
    fn a_counter_that_goes_back_a_little_is_held_until_it_is_passed() {
        let (user, idle, iowait) = (9_000 * SECOND, 90_000 * SECOND, 548_282 * TICK);
        let shown = shown(&[
            vec![cpu(0, user, idle, iowait)],
            vec![cpu(0, user - TICK, idle + TICK, iowait - TICK)],
            vec![cpu(0, user + 1, idle + 2 * TICK, iowait)],
            vec![cpu(0, user + 2, idle + 2 * TICK, iowait + TICK)],
        ]);
        assert_eq!(
            shown,
            [
                (user, idle, iowait),
                (user, idle + TICK, iowait),
                (user + 1, idle + 2 * TICK, iowait),
                (user + 2, idle + 2 * TICK, iowait + TICK),
            ]
        );
    }

    #[test]
    fn idle_time_in_flight_that_changes_sides_is_no_restart() {
        // All of the iowait there was belonged to the sleep in flight.
        let shown = shown(&[
            vec![cpu(0, 5, 90 * SECOND, 20 * SECOND)],
            vec![cpu(0, 5, 111 * SECOND, 0)],
        ]);
        assert_eq!(shown[1], (5, 111 * SECOND, 20 * SECOND));
    }

    #[test]
    fn a_cpu_that_was_away_begins_anew() {
        let long = 9_000 * SECOND;
        let both = || vec![cpu(0, 1, 1, 1), cpu(1, long, long, long)];
        let after = || vec![cpu(0, 1, 1, 1), cpu(1, long, 3 * TICK, 0)];
        let of_second = |readings: &[Vec<CpuTimes>]| {
            let mut held = HeldCpus::default();
            for (at, cpus) in (0..).zip(readings) {
                held.observe(&stats(cpus.clone()), at * SECOND);
            }
            held.stats().unwrap().cpus[1].clone()
        };
        // Seen to be away, or away between two readings.
        for readings in [
            &[both(), vec![cpu(0, 1, 1, 1)], after()][..],
            &[both(), after()],
        ] {
            let cpu = of_second(readings);
            assert_eq!((cpu.idle_ns, cpu.iowait_ns), (Some(3 * TICK), Some(0)));
            assert_eq!(cpu.user_ns, Some(long));
        }
    }

    #[test]
    fn what_is_unknown_is_not_made_known() {
        let mut held = HeldCpus::default();
        held.observe(&stats(vec![cpu(0, 5, 5, 5)]), SECOND);
        let mut unknown = cpu(0, 4, 6, 6);
        unknown.iowait_ns = None;
        held.observe(&stats(vec![unknown]), 2 * SECOND);
        let shown = &held.stats().unwrap().cpus[0];
        assert_eq!((shown.user_ns, shown.iowait_ns), (Some(5), None));
        assert_eq!(held.stats().unwrap().forks, None);
    }

    #[test]
    fn counts_of_the_whole_host_are_held_too() {
        let mut held = HeldCpus::default();
        for (forks, switches) in [(9, 90), (8, 80)] {
            let mut stats = stats(Vec::new());
            stats.forks = Some(forks);
            stats.total.context_switches = Some(switches);
            held.observe(&stats, forks);
        }
        let shown = held.stats().unwrap();
        assert_eq!(shown.forks, Some(9));
        assert_eq!(shown.total.context_switches, Some(90));
    }
}
