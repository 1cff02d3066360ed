use std::{
    any::Any,
    fmt,
    time::{Duration, SystemTime},
};

use rustix::time::{ClockId, clock_gettime};

/// The clock of read windows and of the age of readings.
///
/// The schedule of a bus uses tokio's clock, so that it can be tested with paused time.
/// The times of samples come from this clock.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> Timestamp;

    /// The current time of `CLOCK_MONOTONIC`, in nanoseconds.
    fn monotonic_ns(&self) -> u64 {
        self.now().monotonic_ns
    }

    /// Keeps the clock of a test from being advanced as long as the value lives. A bus
    /// holds it during collections. A real clock returns `None`.
    fn hold(&self) -> Option<Box<dyn Any + Send + Sync>> {
        None
    }
}

/// A point in time on three clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// The wall clock, `CLOCK_REALTIME`, which may be set.
    pub wall: SystemTime,
    /// Nanoseconds on `CLOCK_MONOTONIC`, which stops during suspend.
    pub monotonic_ns: u64,
    /// Nanoseconds on `CLOCK_BOOTTIME`, which includes suspend. The age of a reading is
    /// measured on it, so that a reading from before a suspend is not fresh.
    pub boottime_ns: u64,
}

impl Timestamp {
    /// The point in time at an earlier `CLOCK_MONOTONIC`; this one if that is not earlier.
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

/// The system clocks.
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
