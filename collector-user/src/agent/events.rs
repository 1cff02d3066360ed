use std::time::Duration;

use crate::{
    bus::Publisher,
    collector::procfs::ProcessPoller,
    metric::ProcessEvent,
    source::{Sources, ebpf::EventSink},
};

/// Hands the events of the eBPF programs to the bus.
pub(super) struct Sink(pub(super) Publisher<ProcessEvent>);

impl EventSink for Sink {
    fn is_wanted(&self) -> bool {
        self.0.is_wanted()
    }

    fn publish(&self, event: ProcessEvent) {
        self.0.publish(event);
    }

    fn lost(&self, count: u64) {
        self.0.lost(count);
    }
}

/// How often `/proc` is looked at while somebody wants events.
const POLL: Duration = Duration::from_secs(1);
/// How long after a multiple of that on the monotonic clock: a collection of
/// the processes that is due at that time has ended, and the poller takes what
/// it saw, so that no process is looked at twice.
const AFTER_TICK: Duration = Duration::from_millis(250);
/// How often it is asked whether somebody does.
const ASK: Duration = Duration::from_millis(250);

/// Publishes the events that a poller finds, while somebody wants them, for
/// as long as the runtime lives.
pub(super) fn poll(
    mut poller: ProcessPoller,
    sources: Sources,
    publisher: Publisher<ProcessEvent>,
) {
    tokio::spawn(async move {
        loop {
            if !publisher.is_wanted() {
                tokio::time::sleep(ASK).await;
                continue;
            }
            let tick = sources.tick();
            let polled = tokio::task::spawn_blocking(move || {
                let events = poller.poll(&tick);
                (poller, events)
            });
            let Ok((returned, events)) = polled.await else {
                publisher.unavailable("looking at the processes ended in a panic");
                return;
            };
            poller = returned;
            match events {
                Ok(events) => {
                    for event in events {
                        publisher.publish(event);
                    }
                }
                Err(error) => publisher.unavailable(&error.to_string()),
            }
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            let now = Duration::new(now.tv_sec as u64, now.tv_nsec as u32);
            tokio::time::sleep(until_next_poll(now)).await;
        }
    });
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
}
