use std::{fmt, time::SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// Tells when a reading was taken, and how old it is.
///
/// The schedule itself follows tokio's clock, so that it can be tested with
/// that clock paused. Only what is written on samples comes from here.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
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
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The time line of the schedule: nanoseconds on `CLOCK_MONOTONIC`, but told
/// by tokio's clock, which a test can pause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline {
    origin: tokio::time::Instant,
    origin_ns: u64,
}

impl Timeline {
    pub(super) fn starting_at(origin_ns: u64) -> Self {
        Self {
            origin: tokio::time::Instant::now(),
            origin_ns,
        }
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.origin_ns + self.origin.elapsed().as_nanos() as u64
    }

    pub(super) fn instant(&self, at_ns: u64) -> tokio::time::Instant {
        self.origin + std::time::Duration::from_nanos(at_ns.saturating_sub(self.origin_ns))
    }
}
