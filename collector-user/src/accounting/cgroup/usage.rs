use crate::metric::{
    Asleep, Cgroup, HasProcessCounters as _, Process, ProcessCounters, Sleepers, sum,
};

/// The number of counters of a process that are added up to cgroups.
const COUNTERS: usize = 10;

/// The indices of the kinds of sleep.
const INTERRUPTIBLE: usize = 4;
const UNINTERRUPTIBLE: usize = 5;

/// The counters of a process or of a cgroup, and which of them are known.
///
/// Not a [`ProcessCounters`], because two of these are computed for each row that
/// is built in a tick: arrays without `Option` are added and compared faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    values: [u64; COUNTERS],
    known: [bool; COUNTERS],
    /// The sleep in flight, which is not in `values`.
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
        Self {
            values: [0; COUNTERS],
            known: [true; COUNTERS],
            interruptible: SleepInFlight::default(),
            uninterruptible: SleepInFlight::default(),
        }
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
            ..Self::of_counters(&process.process_counters())
        }
    }

    /// The usage with these counters, without sleep in flight.
    #[inline]
    pub(crate) fn of_counters(counters: &ProcessCounters) -> Self {
        let counters = [
            counters.cpu_ns,
            counters.user_ns,
            counters.system_ns,
            counters.runqueue_ns,
            counters.interruptible_sleep_ns,
            counters.uninterruptible_sleep_ns,
            counters.voluntary_switches,
            counters.involuntary_switches,
            counters.minor_faults,
            counters.major_faults,
        ];
        Self {
            values: counters.map(Option::unwrap_or_default),
            known: counters.map(|counter| counter.is_some()),
            interruptible: SleepInFlight::default(),
            uninterruptible: SleepInFlight::default(),
        }
    }

    /// Whether the usage is zero, and does not grow.
    pub(super) fn is_zero(&self) -> bool {
        self.values == [0; COUNTERS] && !self.grows()
    }

    /// Whether it grows with time, because threads are asleep.
    pub(super) const fn grows(&self) -> bool {
        self.interruptible.threads != 0 || self.uninterruptible.threads != 0
    }

    /// Adds the growth of a process' usage since `before`. A counter that is
    /// unknown in a part is unknown in the sum.
    pub(super) fn add_growth(&mut self, before: &Self, now: &Self) {
        for counter in 0..COUNTERS {
            let (before, now) = (before.values[counter], now.values[counter]);
            let sum = &mut self.values[counter];
            // Time in flight that was estimated too high is subtracted again.
            *sum = sum
                .saturating_add(now.saturating_sub(before))
                .saturating_sub(before.saturating_sub(now));
        }
        self.interruptible.add(&before.interruptible.negated());
        self.interruptible.add(&now.interruptible);
        self.uninterruptible.add(&before.uninterruptible.negated());
        self.uninterruptible.add(&now.uninterruptible);
        self.keep_known(&now.known);
    }

    /// Adds another usage.
    pub(super) fn add(&mut self, other: &Self) {
        self.add_growth(&Self::default(), other);
    }

    /// Subtracts a part that was added before. Known counters stay known.
    pub(super) fn subtract(&mut self, part: &Self) {
        for (sum, value) in self.values.iter_mut().zip(part.values) {
            *sum = sum.saturating_sub(value);
        }
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
        let mut used = *self;
        for (counter, in_flight) in [
            (INTERRUPTIBLE, &self.interruptible),
            (UNINTERRUPTIBLE, &self.uninterruptible),
        ] {
            let ns = i128::from(used.values[counter]) + in_flight.at(at_ns);
            used.values[counter] = u64::try_from(ns.max(0)).unwrap_or(u64::MAX);
        }
        used.interruptible = SleepInFlight::default();
        used.uninterruptible = SleepInFlight::default();
        used
    }

    /// Raises each counter to that of another if it is higher. A counter that is
    /// unknown in the other is unknown from then on.
    pub(super) fn raise_to(&mut self, other: &Self) {
        for (value, other) in self.values.iter_mut().zip(other.values) {
            *value = (*value).max(other);
        }
        self.keep_known(&other.known);
    }

    fn keep_known(&mut self, known: &[bool; COUNTERS]) {
        for (own, known) in self.known.iter_mut().zip(known) {
            *own &= known;
        }
    }

    /// Writes the counters to a row.
    pub(super) fn write_to(&self, row: &mut Cgroup) {
        let mut counters = [None; COUNTERS];
        for (counter, field) in counters.iter_mut().enumerate() {
            *field = self.known[counter].then_some(self.values[counter]);
        }
        let [
            cpu_ns,
            user_ns,
            system_ns,
            runqueue_ns,
            interruptible_sleep_ns,
            uninterruptible_sleep_ns,
            voluntary_switches,
            involuntary_switches,
            minor_faults,
            major_faults,
        ] = counters;
        row.set_process_counters(&ProcessCounters {
            cpu_ns,
            user_ns,
            system_ns,
            runqueue_ns,
            blocked_ns: sum(interruptible_sleep_ns, uninterruptible_sleep_ns),
            interruptible_sleep_ns,
            uninterruptible_sleep_ns,
            voluntary_switches,
            involuntary_switches,
            minor_faults,
            major_faults,
            read_bytes: None,
            write_bytes: None,
        });
    }
}
