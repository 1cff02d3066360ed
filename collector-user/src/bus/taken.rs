//! When a reading was taken.

use std::time::Duration;

use crate::source::{ReadWindow, Timestamp};

/// When the sources of a reading were read: the end of the window on all
/// clocks, and the length of the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) at: Timestamp,
    pub(super) window: Duration,
}

impl Taken {
    /// A reading without a window of its own, such as one that is published.
    pub(super) fn at(at: Timestamp) -> Self {
        Self {
            at,
            window: Duration::ZERO,
        }
    }

    /// A collection that was called and returned at these times. A collector
    /// that read nothing through its tick took its reading during the call.
    pub(super) fn within(
        window: Option<ReadWindow>,
        called: Timestamp,
        returned: Timestamp,
    ) -> Self {
        let window = window.unwrap_or(ReadWindow {
            began_ns: called.monotonic_ns,
            ended_ns: returned.monotonic_ns,
        });
        let at = returned.back_to(window.ended_ns);
        Self {
            at,
            window: Duration::from_nanos(at.monotonic_ns.saturating_sub(window.began_ns)),
        }
    }
}
