//! What one more subscriber takes.

use std::{sync::Arc, time::Duration};

use collector::{
    bus::{Bus, SubscribeOptions, every},
    metric::Backend,
};
use tokio::sync::{broadcast, watch};

use crate::{allocations, reading::Sent};

const SUBSCRIBERS: usize = 10_000;

pub(crate) fn run() {
    println!("Memory: bytes a subscriber, of {SUBSCRIBERS}, none of which reads");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _context = runtime.enter();
    let queue = 64;
    over_bus("bus, latest", SubscribeOptions::default());
    over_bus(
        "bus, queue(64)",
        every(Duration::from_millis(1)).queue(queue),
    );
    let (sender, receiver) = watch::channel(Arc::new(Sent::now()));
    row(
        "watch",
        || vec![receiver.clone(); SUBSCRIBERS],
        |_| {
            drop(sender.send(Arc::new(Sent::now())));
        },
    );
    let (sender, _receiver) = broadcast::channel(64);
    row(
        "broadcast(64)",
        || (0..SUBSCRIBERS).map(|_| sender.subscribe()).collect(),
        |_| drop(sender.send(Arc::new(Sent::now()))),
    );
}

fn over_bus(name: &str, options: SubscribeOptions) {
    let bus = Bus::builder()
        .producer::<Sent>(Backend::Procfs)
        .build()
        .unwrap();
    let publisher = bus.publisher::<Sent>().unwrap();
    row(
        name,
        || {
            (0..SUBSCRIBERS)
                .map(|_| bus.subscribe::<Sent>(options).unwrap())
                .collect()
        },
        |_| {
            publisher.publish(Sent::now());
            // A subscriber with an interval is due at the next multiple.
            std::thread::sleep(Duration::from_millis(2));
        },
    );
}

/// Prints what the subscribers take before and after they were sent something.
fn row<S>(name: &str, subscribe: impl FnOnce() -> Vec<S>, send: impl Fn(usize)) {
    let before = allocations::bytes();
    let subscribers = subscribe();
    let idle = allocations::bytes() - before;
    for round in 0..100 {
        send(round);
    }
    let full = allocations::bytes() - before;
    println!(
        "  {name:<15}  {:>6} idle  {:>6} after 100 readings",
        idle / SUBSCRIBERS,
        full / SUBSCRIBERS
    );
    drop(subscribers);
}
