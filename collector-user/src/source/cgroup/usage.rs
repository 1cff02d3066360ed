use crate::metric::{Cgroup, Process};

/// How many counters of a process are added up to cgroups.
const COUNTERS: usize = 9;

/// The counters of a process, or of a cgroup, and which of them are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    values: [u64; COUNTERS],
    known: [bool; COUNTERS],
}

/// Nothing was used, and that is known.
impl Default for Usage {
    fn default() -> Self {
        Self {
            values: [0; COUNTERS],
            known: [true; COUNTERS],
        }
    }
}

impl Usage {
    /// What a process used up to now.
    pub(crate) fn of(process: &Process) -> Self {
        let counters = [
            process.cpu_ns,
            process.user_ns,
            process.system_ns,
            process.runqueue_ns,
            process.blocked_ns,
            process.voluntary_switches,
            process.involuntary_switches,
            process.minor_faults,
            process.major_faults,
        ];
        Self {
            values: counters.map(Option::unwrap_or_default),
            known: counters.map(|counter| counter.is_some()),
        }
    }

    /// Whether nothing was used.
    pub(super) fn is_zero(&self) -> bool {
        self.values == [0; COUNTERS]
    }

    /// Adds what a process used since `before`. What is not known of one of
    /// its parts is not known of a sum.
    pub(super) fn add_growth(&mut self, before: &Self, now: &Self) {
        for counter in 0..COUNTERS {
            let (before, now) = (before.values[counter], now.values[counter]);
            let sum = &mut self.values[counter];
            // An estimate of time in flight that was too high is taken back.
            *sum = sum
                .saturating_add(now.saturating_sub(before))
                .saturating_sub(before.saturating_sub(now));
        }
        self.know_only(&now.known);
    }

    /// Adds all that another used.
    pub(super) fn add(&mut self, other: &Self) {
        self.add_growth(&Self::default(), other);
    }

    /// Takes off what was added of one part. What is known stays as it is.
    pub(super) fn take_off(&mut self, part: &Self) {
        for (sum, part) in self.values.iter_mut().zip(part.values) {
            *sum = sum.saturating_sub(part);
        }
    }

    /// The higher one of each counter.
    pub(super) fn raise_to(&mut self, other: &Self) {
        for (value, other) in self.values.iter_mut().zip(other.values) {
            *value = (*value).max(other);
        }
        self.know_only(&other.known);
    }

    fn know_only(&mut self, known: &[bool; COUNTERS]) {
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
            &mut row.blocked_ns,
            &mut row.voluntary_switches,
            &mut row.involuntary_switches,
            &mut row.minor_faults,
            &mut row.major_faults,
        ];
        for (counter, field) in fields.into_iter().enumerate() {
            *field = self.known[counter].then_some(self.values[counter]);
        }
    }
}
