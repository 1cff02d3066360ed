//! Publishing lifecycle events, and the thread that handles them.

use std::{
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use rustix::event::{PollFd, PollFlags, poll};

use super::{accountant::now_ns, kernel_accounting::KernelAccounting};
use crate::metric::ProcessEvent;

/// The delay before lifecycle events are handled: with a thousand forks per
/// second it causes fifty wakeups of the agent, and not thousands.
const BATCH_DELAY: Duration = Duration::from_millis(20);

/// A receiver of lifecycle events.
///
/// Called by one thread at a time. It must not read processes from the
/// [`Accountant`](super::Accountant), which would be a deadlock.
pub trait EventSink: Send + Sync {
    /// Whether there is a subscriber now. Otherwise events are discarded.
    fn is_wanted(&self) -> bool;

    /// Publishes an event. Events come in the order of their times.
    fn publish(&self, event: ProcessEvent);

    /// This number of events was lost.
    fn lost(&self, count: u64);
}

/// Keeps an [`EventSink`] registered with the [`Accountant`](super::Accountant):
/// dropping it ends the delivery of events to that sink, and drops the sink.
///
/// The accountant has a weak reference to the sink. A sink mostly refers to a
/// bus, whose collectors refer to the accountant: a strong reference would be a
/// cycle.
#[must_use = "dropping it ends the delivery of events"]
pub struct EventStream {
    _sink: Arc<dyn EventSink>,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

/// State shared by the collectors and the event thread.
pub(super) struct Shared {
    accounting: Mutex<KernelAccounting>,
    sink: Mutex<Option<Weak<dyn EventSink>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(accounting: KernelAccounting) -> Self {
        Self {
            accounting: Mutex::new(accounting),
            sink: Mutex::new(None),
        }
    }

    pub(super) fn send_events_to(&self, sink: Arc<dyn EventSink>) -> EventStream {
        let held = Arc::downgrade(&sink);
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
        EventStream { _sink: sink }
    }

    pub(super) fn accounting(&self) -> MutexGuard<'_, KernelAccounting> {
        self.accounting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls a function with the accounting, and publishes the events that it adds
    /// to the list.
    ///
    /// One thread at a time, so that events are published in the order in which
    /// they were read; the accounting is not locked while the sink is called.
    pub(super) fn publishing<T>(
        &self,
        work: impl FnOnce(&mut KernelAccounting, &mut Vec<ProcessEvent>) -> T,
    ) -> T {
        let order = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let sink = order.as_ref().and_then(Weak::upgrade);
        let mut accounting = self.accounting();
        let mut events = Vec::new();
        let result = work(&mut accounting, &mut events);
        let lost = accounting.take_lost();
        drop(accounting);
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
        // If the stream was dropped meanwhile, this is the last reference to the
        // sink, which is dropped without the lock.
        drop(order);
        drop(sink);
        result
    }
}

/// The event thread: handles lifecycle events when the ring buffer is readable,
/// until `stop` is.
///
/// This also frees the records of exited threads, so that they do not run out
/// while no reading is taken.
pub(super) fn handle_events(shared: &Shared, events: &OwnedFd, stop: &OwnedFd) {
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
        std::thread::sleep(BATCH_DELAY);
        shared.publishing(|accounting, events| {
            events.extend(accounting.drain(now_ns(), SystemTime::now()));
        });
    }
}
