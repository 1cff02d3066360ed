use std::time::{Duration, SystemTime};

/// The time of a drain by three clocks. The programs stamp events by
/// `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockReading {
    pub(crate) monotonic_ns: u64,
    pub(crate) wall: SystemTime,
    /// The time that the host was suspended since it booted: `CLOCK_BOOTTIME`,
    /// by which start times of processes are measured, minus
    /// `CLOCK_MONOTONIC`.
    pub(crate) suspended_ns: u64,
}

/// When a thread exited, or was found to have exited.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExitTime {
    pub(super) wall: SystemTime,
    /// By `CLOCK_BOOTTIME`; `None` if the exit was not seen.
    pub(super) boottime_ns: Option<u64>,
}

impl ClockReading {
    pub(super) fn wall_at(&self, monotonic_ns: u64) -> SystemTime {
        let ago = self.monotonic_ns.saturating_sub(monotonic_ns);
        self.wall - Duration::from_nanos(ago)
    }

    pub(super) fn exit_at(&self, monotonic_ns: u64) -> ExitTime {
        ExitTime {
            wall: self.wall_at(monotonic_ns),
            boottime_ns: Some(monotonic_ns.saturating_add(self.suspended_ns)),
        }
    }
}

/// The time as of which rows are built, and that of the last published reading.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowTimes {
    pub(super) now_ns: u64,
    pub(super) published_ns: u64,
}
