use std::{
    any::Any,
    fmt,
    time::{Duration, SystemTime},
};

use rustix::time::{ClockId, clock_gettime};

/// The clock by which reads are timed, and the age of a reading is measured.
///
/// The schedule of a bus follows tokio's clock, so that it can be tested with
/// that clock paused. The times on samples come from here.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// The time now in nanoseconds on `CLOCK_MONOTONIC`.
    fn monotonic_ns(&self) -> u64 {
        self.now().monotonic_ns
    }

    /// Keeps the clock of a test from being moved on for as long as the value
    /// lives: a bus asks for it while collections are under way. A clock that
    /// goes by itself has nothing to hold.
    fn hold(&self) -> Option<Box<dyn Any + Send + Sync>> {
        None
    }
}

/// One moment on three clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// By the wall clock, which may jump.
    pub wall: SystemTime,
    /// Nanoseconds on `CLOCK_MONOTONIC`, which stands still in suspend.
    pub monotonic_ns: u64,
    /// Nanoseconds on `CLOCK_BOOTTIME`, which goes on in suspend. The age of a
    /// reading is measured on it: what was read before a night in suspend is
    /// not fresh in the morning.
    pub boottime_ns: u64,
}

impl Timestamp {
    /// The same three clocks at an earlier moment, which is known on
    /// `CLOCK_MONOTONIC`. A moment that is not earlier gives this one.
    #[must_use]
    pub fn back_to(self, monotonic_ns: u64) -> Self {
        let back = self.monotonic_ns.saturating_sub(monotonic_ns);
        Self {
            wall: self
                .wall
                .checked_sub(Duration::from_nanos(back))
                .unwrap_or(self.wall),
            monotonic_ns: self.monotonic_ns - back,
            boottime_ns: self.boottime_ns.saturating_sub(back),
        }
    }
}

/// The clocks of this host.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp {
            wall: SystemTime::now(),
            monotonic_ns: nanoseconds(ClockId::Monotonic),
            boottime_ns: nanoseconds(ClockId::Boottime),
        }
    }

    fn monotonic_ns(&self) -> u64 {
        nanoseconds(ClockId::Monotonic)
    }
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
