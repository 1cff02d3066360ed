//! The lifecycle events: the ring buffer, and what is missing in it.

mod debug_log;
mod decode;
mod missed_runs;

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use aya::maps::{MapData, RingBuf};

pub(super) use debug_log::DebugLog;
pub(crate) use missed_runs::MissedRuns;

use crate::accounting::LifecycleEvent;

/// The map `EVENTS`.
pub(crate) struct EventRing {
    pub(super) ring: RingBuf<MapData>,
}

impl EventRing {
    /// A descriptor that is readable while there are events.
    pub(crate) fn readiness(&self) -> io::Result<OwnedFd> {
        self.ring.as_fd().try_clone_to_owned()
    }

    /// The next event. A malformed record is logged and skipped.
    pub(crate) fn next(&mut self) -> Option<LifecycleEvent> {
        loop {
            let record = self.ring.next()?;
            let event = decode::decode(&record);
            if event.is_some() {
                return event;
            }
            let bytes = record.len();
            tracing::warn!(bytes, "malformed record in the ring buffer");
        }
    }
}
