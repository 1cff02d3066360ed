/// The sleeping threads of a process, by kind of sleep.
///
/// For each kind their number, and the sum of the times at which their sleep
/// began: so the sleep in flight is known for any time, at no cost while they
/// sleep. Part of a row of a [`ProcessList`](super::ProcessList), which adds it
/// up to its own time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asleep {
    pub(crate) interruptible: Sleepers,
    pub(crate) uninterruptible: Sleepers,
}

impl Asleep {
    /// Whether no thread sleeps.
    pub const fn is_empty(&self) -> bool {
        self.interruptible.threads == 0 && self.uninterruptible.threads == 0
    }

    pub(crate) fn of_kind(&mut self, is_uninterruptible: bool) -> &mut Sleepers {
        if is_uninterruptible {
            &mut self.uninterruptible
        } else {
            &mut self.interruptible
        }
    }

    /// Without others, which are among them.
    pub(crate) fn without(mut self, others: &Self) -> Self {
        self.interruptible.subtract(&others.interruptible);
        self.uninterruptible.subtract(&others.uninterruptible);
        self
    }

    /// Together with others.
    pub(crate) fn with(mut self, others: &Self) -> Self {
        self.interruptible.add(&others.interruptible);
        self.uninterruptible.add(&others.uninterruptible);
        self
    }
}

/// A number of sleeping threads, and the sum of the times at which their sleep
/// began.
///
/// The sum has 96 bits: enough for 2^22 threads, in nanoseconds since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sleepers {
    since_low: u64,
    since_high: u32,
    threads: u32,
}

impl Sleepers {
    /// One thread that has slept since then.
    pub(crate) const fn one(since_ns: u64) -> Self {
        Self {
            since_low: since_ns,
            since_high: 0,
            threads: 1,
        }
    }

    pub(crate) const fn threads(&self) -> u32 {
        self.threads
    }

    /// The sum of the times at which their sleep began.
    pub(crate) fn since_ns(&self) -> u128 {
        u128::from(self.since_low) | u128::from(self.since_high) << 64
    }

    fn set(&mut self, threads: u32, since_ns: u128) {
        self.threads = threads;
        self.since_low = since_ns as u64;
        self.since_high = (since_ns >> 64) as u32;
    }

    pub(crate) fn add(&mut self, others: &Self) {
        let threads = self.threads.saturating_add(others.threads);
        self.set(threads, self.since_ns().saturating_add(others.since_ns()));
    }

    pub(crate) fn subtract(&mut self, others: &Self) {
        let threads = self.threads.saturating_sub(others.threads);
        self.set(threads, self.since_ns().saturating_sub(others.since_ns()));
    }

    /// Their sleep up to a time, added up. A sleep that begins later counts as
    /// 0.
    pub(crate) fn slept_ns(&self, at_ns: u64) -> u64 {
        let until = u128::from(self.threads) * u128::from(at_ns);
        let slept = until.saturating_sub(self.since_ns());
        u64::try_from(slept).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_have_slept_grows_with_the_time_at_which_it_is_asked_for() {
        let mut sleepers = Sleepers::default();
        assert_eq!(sleepers.slept_ns(5), 0);
        sleepers.add(&Sleepers::one(100));
        sleepers.add(&Sleepers::one(200));
        assert_eq!(sleepers.slept_ns(300), 300);
        assert_eq!(sleepers.slept_ns(400), 500);
        sleepers.subtract(&Sleepers::one(100));
        assert_eq!((sleepers.threads(), sleepers.slept_ns(400)), (1, 200));
        assert_eq!(sleepers.slept_ns(150), 0, "it began to sleep after that");
    }

    #[test]
    fn four_million_threads_that_sleep_for_a_year_are_added_up() {
        const YEAR_NS: u64 = 365 * 24 * 3_600 * 1_000_000_000;
        let mut sleepers = Sleepers::default();
        sleepers.set(1 << 22, u128::from(YEAR_NS) << 22);
        assert_eq!(sleepers.since_ns(), u128::from(YEAR_NS) << 22);
        assert_eq!(sleepers.slept_ns(YEAR_NS + 1), 1 << 22);
        assert_eq!(sleepers.slept_ns(2 * YEAR_NS), u64::MAX, "as much as fits");
    }
}
