use crate::metric::{
    Asleep, Cgroup, HasProcessCounters as _, Process, ProcessCounters, Sleepers, sum,
};

/// The counters of a process or of a cgroup, of which some may be unknown.
///
/// Not the I/O, which is not summed up to cgroups, nor the sum of both kinds of
/// sleep, which is computed when it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    counters: ProcessCounters,
    /// The sleep in flight, which is not in `counters`.
    interruptible: SleepInFlight,
    uninterruptible: SleepInFlight,
}

/// Sleep in flight: the number of sleeping threads, and the sum of the times
/// since when each sleeps.
///
/// It is a linear function of time, so that it is added and subtracted like a
/// counter. After a move between cgroups the offset is not that of the remaining
/// threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct SleepInFlight {
    threads: i64,
    offset_ns: i128,
}

impl SleepInFlight {
    fn of(sleepers: &Sleepers) -> Self {
        Self {
            threads: sleepers.threads().into(),
            offset_ns: sleepers.since_ns().cast_signed(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.threads += other.threads;
        self.offset_ns += other.offset_ns;
    }

    const fn negated(&self) -> Self {
        Self {
            threads: -self.threads,
            offset_ns: -self.offset_ns,
        }
    }

    fn at(&self, at_ns: u64) -> i128 {
        i128::from(self.threads) * i128::from(at_ns) - self.offset_ns
    }

    /// Moves the sleep of the threads of a part from a time on to the result.
    fn split_off(&mut self, part: &Self, at_ns: u64) -> Self {
        let from_then_on = Self {
            threads: part.threads,
            offset_ns: i128::from(part.threads) * i128::from(at_ns),
        };
        self.add(&from_then_on.negated());
        from_then_on
    }
}

/// Zero usage, with all counters known.
impl Default for Usage {
    fn default() -> Self {
        let unknown = ProcessCounters::UNKNOWN;
        Self::of_counters(unknown.zip(unknown, |_, _| Some(0)))
    }
}

impl Usage {
    /// The usage of a process up to now.
    pub(crate) fn of(process: &Process) -> Self {
        let Asleep {
            interruptible,
            uninterruptible,
        } = &process.asleep;
        Self {
            interruptible: SleepInFlight::of(interruptible),
            uninterruptible: SleepInFlight::of(uninterruptible),
            ..Self::of_counters(process.process_counters())
        }
    }

    /// The usage with these counters, without sleep in flight.
    pub(crate) fn of_counters(counters: ProcessCounters) -> Self {
        Self {
            counters: ProcessCounters {
                blocked_ns: None,
                read_bytes: None,
                write_bytes: None,
                ..counters
            },
            interruptible: SleepInFlight::default(),
            uninterruptible: SleepInFlight::default(),
        }
    }

    /// Whether the usage is zero, and does not grow.
    pub(super) fn is_zero(&self) -> bool {
        let zero = self.counters.zip(self.counters, |own, _| own.map(|_| 0));
        self.counters == zero && !self.grows()
    }

    /// Whether it grows with time, because threads are asleep.
    pub(super) const fn grows(&self) -> bool {
        self.interruptible.threads != 0 || self.uninterruptible.threads != 0
    }

    /// Adds the growth of a process' usage since `before`. A counter that is
    /// unknown in a part is unknown in the sum.
    pub(super) fn add_growth(&mut self, before: &Self, now: &Self) {
        // Negative if time in flight was estimated too high before.
        let growth = now.counters.zip(before.counters, |now, before| {
            Some(now?.wrapping_sub(before.unwrap_or(0)))
        });
        self.counters = self.counters.zip(growth, |sum, growth| {
            Some(sum?.saturating_add_signed(growth?.cast_signed()))
        });
        self.interruptible.add(&before.interruptible.negated());
        self.interruptible.add(&now.interruptible);
        self.uninterruptible.add(&before.uninterruptible.negated());
        self.uninterruptible.add(&now.uninterruptible);
    }

    /// Adds another usage.
    pub(super) fn add(&mut self, other: &Self) {
        self.add_growth(&Self::default(), other);
    }

    /// Subtracts a part that was added before. Known counters stay known.
    pub(super) fn subtract(&mut self, part: &Self) {
        self.counters = self.counters.minus(part.counters);
        self.interruptible.add(&part.interruptible.negated());
        self.uninterruptible.add(&part.uninterruptible.negated());
    }

    /// Splits the sleep in flight of a part at a time: the sleep before stays here,
    /// the sleep from then on is returned.
    pub(super) fn split_off_sleep(&mut self, part: &Self, at_ns: u64) -> Self {
        Self {
            interruptible: self.interruptible.split_off(&part.interruptible, at_ns),
            uninterruptible: self.uninterruptible.split_off(&part.uninterruptible, at_ns),
            ..Self::default()
        }
    }

    /// The usage with the sleep in flight up to a time.
    pub(super) fn at(&self, at_ns: u64) -> Self {
        let up_to = |slept_ns: Option<u64>, in_flight: &SleepInFlight| {
            let ns = i128::from(slept_ns?) + in_flight.at(at_ns);
            Some(u64::try_from(ns.max(0)).unwrap_or(u64::MAX))
        };
        let counters = &self.counters;
        Self::of_counters(ProcessCounters {
            interruptible_sleep_ns: up_to(counters.interruptible_sleep_ns, &self.interruptible),
            uninterruptible_sleep_ns: up_to(
                counters.uninterruptible_sleep_ns,
                &self.uninterruptible,
            ),
            ..*counters
        })
    }

    /// Raises each counter to that of another if it is higher. A counter that is
    /// unknown in the other is unknown from then on.
    pub(super) fn raise_to(&mut self, other: &Self) {
        self.counters = self
            .counters
            .zip(other.counters, |own, other| Some(own?.max(other?)));
    }

    /// Writes the counters to a row.
    pub(super) fn write_to(&self, row: &mut Cgroup) {
        let counters = &self.counters;
        row.set_process_counters(&ProcessCounters {
            blocked_ns: sum(
                counters.interruptible_sleep_ns,
                counters.uninterruptible_sleep_ns,
            ),
            ..*counters
        });
    }
}
