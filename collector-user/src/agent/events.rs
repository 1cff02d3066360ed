//! Publishes lifecycle events on the bus.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    bus::WeakPublisher,
    collectors::{ebpf::EventSink, procfs::ProcessPoller},
    metric::ProcessEvent,
    source::Sources,
};

/// Hands the events of the eBPF programs to the bus.
pub(super) struct Sink(pub(super) WeakPublisher<ProcessEvent>);

impl EventSink for Sink {
    fn is_wanted(&self) -> bool {
        self.0.upgrade().is_some_and(|bus| bus.is_wanted())
    }

    fn publish(&self, event: ProcessEvent) {
        if let Some(bus) = self.0.upgrade() {
            bus.publish(event);
        }
    }

    fn lost(&self, count: u64) {
        if let Some(bus) = self.0.upgrade() {
            bus.lost(count);
        }
    }
}

/// The interval at which `/proc` is polled while events have a subscription.
const POLL: Duration = Duration::from_secs(1);
/// How long after a multiple of that on the monotonic clock: a collection of
/// the processes that is due at that time has ended, and the poller takes what
/// it saw, so that no process is looked at twice.
const AFTER_TICK: Duration = Duration::from_millis(250);
/// The longest wait after polls that failed.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// Publishes the events that a poller finds, while they have a subscription. It
/// waits without a timer while they have none, does not keep the bus alive, and
/// ends with it. A poll that fails or panics is made again later and later.
pub(super) async fn poll(
    poller: ProcessPoller,
    sources: Sources,
    publisher: WeakPublisher<ProcessEvent>,
) {
    let poller = Arc::new(Mutex::new(poller));
    let mut failures = 0;
    while publisher.wanted().await {
        let tick = sources.tick();
        let Some(bus) = publisher.upgrade() else {
            return;
        };
        let shared = Arc::clone(&poller);
        let (sender, polled) = oneshot::channel();
        let started = bus.run(Box::new(move || {
            let mut poller = shared.lock().unwrap_or_else(PoisonError::into_inner);
            // What a panic leaves behind in the poller is at worst a process
            // that it does not know yet.
            let events = catch_unwind(AssertUnwindSafe(|| poller.poll(&tick)));
            let _ = sender.send(events);
        }));
        drop(bus);
        let polled = match started {
            Ok(()) => polled
                .await
                .map_err(|_ended| "the poll was given up".to_owned()),
            Err(error) => Err(format!(
                "cannot make a thread to look at the processes: {error}"
            )),
        };
        let Some(bus) = publisher.upgrade() else {
            return;
        };
        let failure = match polled {
            Ok(Ok(Ok(events))) => {
                for event in events {
                    bus.publish(event);
                }
                None
            }
            Ok(Ok(Err(error))) => Some(error.to_string()),
            Ok(Err(_panic)) => Some("looking at the processes panicked".to_owned()),
            Err(reason) => Some(reason),
        };
        failures = if failure.is_some() { failures + 1 } else { 0 };
        if let Some(reason) = failure {
            bus.unavailable(reason);
        }
        drop(bus);
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = Duration::new(now.tv_sec as u64, now.tv_nsec as u32);
        tokio::time::sleep(until_next_poll(now) + backoff(failures)).await;
    }
}

/// The additional wait after `failures` failures in a row.
fn backoff(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        failures => POLL.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT),
    }
}

/// How long it is from a time on the monotonic clock to the next poll.
fn until_next_poll(now: Duration) -> Duration {
    let (now, poll, after) = (now.as_nanos(), POLL.as_nanos(), AFTER_TICK.as_nanos());
    let since_last = (now + poll - after) % poll;
    Duration::from_nanos((poll - since_last) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_come_once_a_second_a_little_after_the_tick() {
        let until = |ms| until_next_poll(Duration::from_millis(ms)).as_millis();
        assert_eq!(until(7_000), 250);
        assert_eq!(until(7_249), 1);
        assert_eq!(until(7_250), 1_000);
        assert_eq!(until(7_999), 251);
        assert_eq!(until(0), 250);
    }

    #[test]
    fn polls_that_fail_become_rare() {
        let waits = [0, 1, 2, 9, u32::MAX].map(|failures| backoff(failures).as_secs());
        assert_eq!(waits, [0, 2, 4, 300, 300]);
    }
}
