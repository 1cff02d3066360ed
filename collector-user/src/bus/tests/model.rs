//! Random sequences of what can happen to a bus, against a simple model.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use proptest::prelude::*;

use super::support::{Quick, START, builder, millis, pass};
use crate::{
    bus::{
        Bus, Clock as _, SnapshotRequest, Subscription, every,
        testing::{MockCollector, TestClock},
    },
    collectors::CollectError,
    metric::Status,
};

const MILLISECOND: u64 = 1_000_000;
const FLOOR: u64 = 50 * MILLISECOND;

#[derive(Clone, Debug)]
enum Step {
    Subscribe { interval: u64, queue: usize },
    Drop(prop::sample::Index),
    Read(prop::sample::Index),
    Break,
    Mend,
    Snapshot { max_age: u64 },
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (20..3_000_u64, 1..5_usize)
            .prop_map(|(interval, queue)| Step::Subscribe { interval, queue }),
        1 => any::<prop::sample::Index>().prop_map(Step::Drop),
        3 => any::<prop::sample::Index>().prop_map(Step::Read),
        1 => Just(Step::Break),
        2 => Just(Step::Mend),
        1 => (0..2_000_u64).prop_map(|max_age| Step::Snapshot { max_age }),
        4 => (1..5_000_u64).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..40)
}

/// A collection, as the collector saw it.
#[derive(Clone, Copy, Debug)]
struct Collection {
    at: u64,
    good: bool,
}

/// A subscriber, and what the model says that it should have been given.
struct Subscriber {
    subscription: Subscription<Quick>,
    interval: u64,
    queue: u64,
    since: u64,
    /// From when on it is due.
    due: u64,
    delivered: u64,
    /// What it has received, or was told that it missed.
    accounted: u64,
    last_sequence: Option<u64>,
    last_time: u64,
}

impl Subscriber {
    fn expect(&mut self, collection: Collection) {
        if self.due <= collection.at {
            self.delivered += 1;
            self.due = (collection.at / self.interval + 1) * self.interval;
        }
    }

    /// Receives what waits, and checks it.
    async fn read(&mut self) {
        let waiting = (self.delivered - self.accounted).min(self.queue);
        for _ in 0..waiting {
            let sample = self.subscription.recv().await.expect("the bus is up");
            self.accounted += 1 + sample.missed.by_subscriber;
            assert!(self.last_time <= sample.monotonic_ns, "time goes on");
            self.last_time = sample.monotonic_ns;
            // Who subscribes to what fails is told so at once, with the
            // number of the last attempt; else no number comes twice.
            assert!(self.last_sequence < Some(sample.sequence), "sequence grows");
            self.last_sequence = Some(sample.sequence);
        }
        assert_eq!(self.accounted, self.delivered, "missed adds up");
    }
}

struct World {
    bus: Bus,
    clock: TestClock,
    works: Arc<AtomicBool>,
    log: Arc<Mutex<Vec<Collection>>>,
    /// How much of the log the model has seen.
    seen: usize,
    subscribers: Vec<Subscriber>,
}

impl World {
    fn new() -> Self {
        let clock = TestClock::starting_at(START);
        let works = Arc::new(AtomicBool::new(true));
        let log = Arc::new(Mutex::new(Vec::new()));
        let collector = {
            let (clock, works, log) = (clock.clone(), Arc::clone(&works), Arc::clone(&log));
            MockCollector::new(move |call| {
                let good = works.load(Ordering::SeqCst);
                let at = clock.now().monotonic_ns;
                log.lock().unwrap().push(Collection { at, good });
                if good {
                    Ok(Quick(call))
                } else {
                    Err(CollectError::failed("broken"))
                }
            })
        };
        let bus = builder()
            .clock(clock.clone())
            .collector(collector.floor(std::time::Duration::from_nanos(FLOOR)))
            .build()
            .unwrap();
        Self {
            bus,
            clock,
            works,
            log,
            seen: 0,
            subscribers: Vec::new(),
        }
    }

    fn log(&self) -> Vec<Collection> {
        self.log.lock().unwrap().clone()
    }

    fn now(&self) -> u64 {
        self.clock.now().monotonic_ns
    }

    /// Tells the model what was collected since.
    fn follow(&mut self) {
        let log = self.log();
        for &collection in &log[self.seen..] {
            for subscriber in &mut self.subscribers {
                subscriber.expect(collection);
            }
        }
        self.seen = log.len();
    }

    fn subscribe(&mut self, interval: u64, queue: usize) {
        let options = every(millis(interval)).queue(queue);
        let subscription = self.bus.subscribe(options).unwrap();
        let interval = (interval * MILLISECOND).max(FLOOR);
        let now = self.now();
        let (due, delivered) = match self.log().last() {
            Some(last) if !last.good => (0, 1),
            Some(last) if now - last.at <= interval => ((now / interval + 1) * interval, 1),
            _ => (0, 0),
        };
        self.subscribers.push(Subscriber {
            subscription,
            interval,
            queue: queue as u64,
            since: now,
            due,
            delivered,
            accounted: 0,
            last_sequence: None,
            last_time: 0,
        });
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Subscribe { interval, queue } => self.subscribe(interval, queue),
            Step::Drop(index) if !self.subscribers.is_empty() => {
                let gone = index.index(self.subscribers.len());
                self.subscribers.swap_remove(gone);
            }
            Step::Read(index) if !self.subscribers.is_empty() => {
                let reader = index.index(self.subscribers.len());
                self.subscribers[reader].read().await;
            }
            Step::Drop(_) | Step::Read(_) => {}
            Step::Break => self.works.store(false, Ordering::SeqCst),
            Step::Mend => self.works.store(true, Ordering::SeqCst),
            Step::Snapshot { max_age } => {
                let request = SnapshotRequest {
                    metrics: None,
                    max_age: Some(millis(max_age)),
                };
                let snapshot = self.bus.snapshot(request).await.unwrap();
                let sample = &snapshot.metrics["quick"];
                let last = *self.log().last().expect("a snapshot collects");
                assert_eq!(sample.status == Status::Ok, last.good);
                if last.good {
                    let limit = (max_age * MILLISECOND).max(FLOOR);
                    assert!(self.now() - sample.monotonic_ns <= limit, "too old");
                }
            }
            Step::Pass(time) => pass(millis(time)).await,
        }
        // What a step has caused happens before the next one.
        pass(std::time::Duration::from_nanos(1)).await;
        self.follow();
    }

    /// While all goes well, there is a sample in each interval of each
    /// subscriber; or just before it, where the floor allows no other.
    fn check_rates(&self) {
        let log = self.log();
        if log.iter().any(|collection| !collection.good) {
            return;
        }
        let now = self.now();
        for subscriber in &self.subscribers {
            let interval = subscriber.interval;
            let first = (subscriber.since / interval + 1) * interval;
            let mut from = first;
            while from + interval <= now {
                assert!(
                    log.iter()
                        .any(|c| (from - FLOOR..from + interval).contains(&c.at)),
                    "nothing in the {interval} ns from {from}: {log:?}"
                );
                from += interval;
            }
        }
    }

    /// Two collections are never closer than the floor, but for what the
    /// first was late.
    fn check_floor(&self) {
        for pair in self.log().windows(2) {
            assert!(
                pair[1].at - pair[0].at >= FLOOR * 3 / 4,
                "below the floor: {pair:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_subscriber_gets_its_rate_and_every_sample_is_accounted_for(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in steps {
                world.step(step).await;
            }
            for subscriber in &mut world.subscribers {
                subscriber.read().await;
            }
            world.check_rates();
            world.check_floor();
        });
    }
}
