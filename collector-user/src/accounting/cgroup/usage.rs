use crate::metric::{Asleep, Cgroup, Process, Sleepers, sum};

/// The number of counters of a process that are added up to cgroups.
const COUNTERS: usize = 10;

/// The indices of the kinds of sleep.
const INTERRUPTIBLE: usize = 4;
const UNINTERRUPTIBLE: usize = 5;

/// The counters of a process or of a cgroup, and which of them are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    values: [u64; COUNTERS],
    known: [bool; COUNTERS],
    /// The sleep in flight of both kinds, which is not in `values`.
    asleep: [SleepInFlight; 2],
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
}

/// Zero usage, with all counters known.
impl Default for Usage {
    fn default() -> Self {
        Self {
            values: [0; COUNTERS],
            known: [true; COUNTERS],
            asleep: [SleepInFlight::default(); 2],
        }
    }
}

impl Usage {
    /// The usage of a process up to now.
    pub(crate) fn of(process: &Process) -> Self {
        let counters = [
            process.cpu_ns,
            process.user_ns,
            process.system_ns,
            process.runqueue_ns,
            process.interruptible_sleep_ns,
            process.uninterruptible_sleep_ns,
            process.voluntary_switches,
            process.involuntary_switches,
            process.minor_faults,
            process.major_faults,
        ];
        let Asleep {
            interruptible,
            uninterruptible,
        } = &process.asleep;
        Self {
            values: counters.map(Option::unwrap_or_default),
            known: counters.map(|counter| counter.is_some()),
            asleep: [interruptible, uninterruptible].map(SleepInFlight::of),
        }
    }

    /// Whether the usage is zero, and does not grow.
    pub(super) fn is_zero(&self) -> bool {
        self.values == [0; COUNTERS] && !self.grows()
    }

    /// Whether it grows with time, because threads are asleep.
    pub(super) fn grows(&self) -> bool {
        self.asleep.iter().any(|asleep| asleep.threads != 0)
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
        for kind in 0..2 {
            self.asleep[kind].add(&before.asleep[kind].negated());
            self.asleep[kind].add(&now.asleep[kind]);
        }
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
        for kind in 0..2 {
            self.asleep[kind].add(&part.asleep[kind].negated());
        }
    }

    /// Splits the sleep in flight of a part at a time: the sleep before stays here,
    /// the sleep from then on is returned.
    pub(super) fn split_off_sleep(&mut self, part: &Self, at_ns: u64) -> Self {
        let mut elsewhere = Self::default();
        for kind in 0..2 {
            let threads = part.asleep[kind].threads;
            let from_then_on = SleepInFlight {
                threads,
                offset_ns: i128::from(threads) * i128::from(at_ns),
            };
            self.asleep[kind].add(&from_then_on.negated());
            elsewhere.asleep[kind] = from_then_on;
        }
        elsewhere
    }

    /// The usage with the sleep in flight up to a time.
    pub(super) fn at(&self, at_ns: u64) -> Self {
        let mut used = *self;
        for (kind, counter) in [INTERRUPTIBLE, UNINTERRUPTIBLE].into_iter().enumerate() {
            let ns = i128::from(used.values[counter]) + used.asleep[kind].at(at_ns);
            used.values[counter] = u64::try_from(ns.max(0)).unwrap_or(u64::MAX);
        }
        used.asleep = [SleepInFlight::default(); 2];
        used
    }

    /// Raises each counter to that of another if it is higher.
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
        let fields = [
            &mut row.cpu_ns,
            &mut row.user_ns,
            &mut row.system_ns,
            &mut row.runqueue_ns,
            &mut row.interruptible_sleep_ns,
            &mut row.uninterruptible_sleep_ns,
            &mut row.voluntary_switches,
            &mut row.involuntary_switches,
            &mut row.minor_faults,
            &mut row.major_faults,
        ];
        for (counter, field) in fields.into_iter().enumerate() {
            *field = self.known[counter].then_some(self.values[counter]);
        }
        row.blocked_ns = sum(row.interruptible_sleep_ns, row.uninterruptible_sleep_ns);
    }
}
