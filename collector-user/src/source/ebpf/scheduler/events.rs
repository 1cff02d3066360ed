//! Lifecycle events, and the thread that handles them as they come.

use std::{
    os::fd::OwnedFd,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use rustix::event::{PollFd, PollFlags, poll};

use super::{super::state::State, now_ns};
use crate::metric::ProcessEvent;

/// For how long lifecycle events are gathered before they are handled: then a
/// thousand processes a second cause fifty wakeups of the agent, not
/// thousands.
const GATHER: Duration = Duration::from_millis(20);

/// Who receives lifecycle events.
pub trait EventSink: Send {
    /// Whether anybody wants events now. While nobody does, none are made.
    fn is_wanted(&self) -> bool;

    /// An event, in the order in which they happened.
    fn publish(&self, event: ProcessEvent);

    /// So many events will never come, since the kernel made them faster than
    /// they were taken.
    fn lost(&self, count: u64);
}

/// What the collectors and the thread that handles events share.
pub(super) struct Shared {
    state: Mutex<State>,
    sink: Mutex<Option<Box<dyn EventSink>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            sink: Mutex::new(None),
        }
    }

    pub(super) fn send_events_to(&self, sink: Box<dyn EventSink>) {
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands events on. The sink is called without the state locked.
    pub(super) fn publish(&self, events: Vec<ProcessEvent>, lost: u64) {
        if events.is_empty() && lost == 0 {
            return;
        }
        let sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sink) = &*sink
            && sink.is_wanted()
        {
            if lost > 0 {
                sink.lost(lost);
            }
            for event in events {
                sink.publish(event);
            }
        }
    }

    fn drain(&self) {
        let (events, lost) = {
            let mut state = self.state();
            let events = state.drain(now_ns(), SystemTime::now());
            (events, state.take_lost())
        };
        self.publish(events, lost);
    }
}

/// Handles lifecycle events as they come, until told to stop.
///
/// This also takes back the records of threads that ended, so that they do
/// not run out while nobody asks for a reading.
pub(super) fn pump_events(shared: &Shared, events: &OwnedFd, stop: &OwnedFd) {
    loop {
        let mut fds = [
            PollFd::new(events, PollFlags::IN),
            PollFd::new(stop, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => {
                tracing::error!(%error, "cannot wait for lifecycle events: they are handled at the pace of process_stats only");
                return;
            }
        }
        if !fds[1].revents().is_empty() {
            return;
        }
        std::thread::sleep(GATHER);
        shared.drain();
    }
}
