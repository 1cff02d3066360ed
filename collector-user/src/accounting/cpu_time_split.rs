/// The split of CPU time into user and kernel mode.
///
/// The kernel knows the CPU time to the nanosecond, but samples the mode at the
/// timer tick. It scales the exact time by the ratio of the samples, and neither
/// part ever decreases. This is the algorithm of `cputime_adjust` in
/// `kernel/sched/cputime.c`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTimeSplit {
    pub(crate) user_ns: u64,
    pub(crate) system_ns: u64,
}

impl CpuTimeSplit {
    /// Advances to newer totals: the exact CPU time, and the sampled times.
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

#[cfg(test)]
mod tests {
    use super::CpuTimeSplit;

    #[test]
    fn the_parts_of_cpu_time_add_up_and_never_shrink() {
        let mut split = CpuTimeSplit::default();
        split.advance(1_000, 0, 0);
        assert_eq!(
            split,
            CpuTimeSplit {
                user_ns: 1_000,
                system_ns: 0
            },
            "without a sample it is user time"
        );
        split.advance(2_000, 4, 4);
        assert_eq!(
            split,
            CpuTimeSplit {
                user_ns: 1_000,
                system_ns: 1_000
            }
        );
        split.advance(3_000, 8, 4);
        assert_eq!(
            split,
            CpuTimeSplit {
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
