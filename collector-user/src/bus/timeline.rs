/// The time line of the schedule: nanoseconds on `CLOCK_MONOTONIC`, but taken
/// from tokio's clock, which a test can pause.
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
