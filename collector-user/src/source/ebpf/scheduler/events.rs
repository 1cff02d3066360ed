//! Lifecycle events, and the thread that handles them as they come.

use std::{
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
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
///
/// Is called by one thread at a time. Must not ask the
/// [`Scheduler`](super::Scheduler) for processes, which waits for it.
pub trait EventSink: Send + Sync {
    /// Whether anybody wants events now. While nobody does, none are made.
    fn is_wanted(&self) -> bool;

    /// An event, in the order in which they happened.
    fn publish(&self, event: ProcessEvent);

    /// So many events will never come, since the kernel made them faster than
    /// they were taken.
    fn lost(&self, count: u64);
}

/// Keeps an [`EventSink`] on the [`Scheduler`](super::Scheduler): dropping it
/// ends the delivery of events to that sink, and drops the sink.
///
/// The programs hold the sink weakly. A sink mostly leads to a bus, whose
/// collectors hold the programs: were the programs to own it, neither would
/// ever be freed.
#[must_use = "dropping it ends the delivery of events"]
pub struct EventStream {
    _sink: Arc<dyn EventSink>,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

/// What the collectors and the thread that handles events share.
pub(super) struct Shared {
    state: Mutex<State>,
    sink: Mutex<Option<Weak<dyn EventSink>>>,
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

    pub(super) fn send_events_to(&self, sink: Arc<dyn EventSink>) -> EventStream {
        let held = Arc::downgrade(&sink);
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
        EventStream { _sink: sink }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does some work with the state, and hands on the events that it adds to
    /// the list.
    ///
    /// One at a time, so that events are handed on in the order in which they
    /// were found; the state is not locked while the sink is called.
    pub(super) fn handing_on<T>(
        &self,
        work: impl FnOnce(&mut State, &mut Vec<ProcessEvent>) -> T,
    ) -> T {
        let order = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let sink = order.as_ref().and_then(Weak::upgrade);
        let mut state = self.state();
        let mut events = Vec::new();
        let result = work(&mut state, &mut events);
        let lost = state.take_lost();
        drop(state);
        if let Some(sink) = &sink
            && sink.is_wanted()
        {
            if lost > 0 {
                sink.lost(lost);
            }
            for event in events {
                sink.publish(event);
            }
        }
        // The stream may have been dropped meanwhile: then this is the last hold
        // on the sink, and what that leads to is dropped without the lock.
        drop(order);
        drop(sink);
        result
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
        shared.handing_on(|state, events| {
            events.extend(state.drain(now_ns(), SystemTime::now()));
        });
    }
}
