//! Metrics that only tests know.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    bus::{
        Bus, BusBuilder, Subscription,
        testing::{Gate, MockCollector, TestClock},
    },
    metric::{Kind, MetricInfo, Reading, Sample, Tier},
};

macro_rules! metric {
    ($type:ident, $name:literal, $tier:ident, $kind:ident) => {
        /// The number of the call that made it.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub(super) struct $type(pub(super) u64);

        impl Reading for $type {
            const METRIC: MetricInfo = MetricInfo {
                name: $name,
                tier: Tier::$tier,
                kind: Kind::$kind,
                help: "For tests.",
            };

            fn heap_bytes(&self) -> usize {
                0
            }
        }
    };
}

metric!(Quick, "quick", Fast, State);
metric!(Steady, "steady", System, State);
metric!(Hardware, "hardware", Hardware, State);
metric!(Happening, "happening", Fast, Event);

pub(super) const START: Duration = Duration::from_secs(1_000);

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A bus whose clock shows a thousand seconds since the machine started.
pub(super) fn builder() -> BusBuilder {
    Bus::builder()
        .clock(TestClock::starting_at(START))
        .host("test")
}

pub(super) fn quick() -> MockCollector<Quick> {
    MockCollector::new(|call| Ok(Quick(call)))
}

pub(super) fn steady() -> MockCollector<Steady> {
    MockCollector::new(|call| Ok(Steady(call)))
}

/// When a sample was taken, since the start of the test.
pub(super) fn time_of<R: ?Sized>(sample: &Sample<R>) -> Duration {
    Duration::from_nanos(sample.monotonic_ns).saturating_sub(START)
}

/// The times of the next samples.
pub(super) async fn times<R: Reading>(
    subscription: &mut Subscription<R>,
    count: usize,
) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..count {
        let sample = subscription.recv().await.expect("the bus is up");
        times.push(time_of(&sample));
    }
    times
}

/// Lets tokio's clock run on by so much, and what is due on the way happen.
pub(super) async fn pass(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Opens a gate when the test ends, however it ends: the runtime of a test
/// waits for the collection that is held up.
pub(super) struct OpensAtEnd(pub(super) Gate);

impl Drop for OpensAtEnd {
    fn drop(&mut self) {
        self.0.open();
    }
}
