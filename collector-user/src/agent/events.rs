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
}

/// Wants no events.
pub(super) struct Nobody;

impl EventSink for Nobody {
    fn is_wanted(&self) -> bool {
        false
    }

    fn publish(&self, _event: ProcessEvent) {}
}

/// How often `/proc` is looked at while somebody wants events.
const POLL: Duration = Duration::from_secs(1);
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
            tokio::time::sleep(POLL).await;
        }
    });
}
