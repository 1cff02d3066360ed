//! Many subscribers on several threads, some of which never read.

use std::sync::{Arc, Weak};

use super::support::{Happening, builder, secs};
use crate::{bus::every, metric::Backend};

const SUBSCRIBERS: usize = 1_000;
const NEVER_READ: usize = 100;
const EVENTS: u64 = 2_000;
const QUEUE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_who_never_read_cost_constant_memory_and_delay_nobody() {
    let bus = builder()
        .producer::<Happening>(Backend::Ebpf)
        .build()
        .unwrap();
    let publisher = bus.publisher::<Happening>().unwrap();
    let options = every(secs(1)).queue(QUEUE);
    let subscribe = || bus.subscribe::<Happening>(options).unwrap();
    let never_read: Vec<_> = (0..NEVER_READ).map(|_| subscribe()).collect();
    let readers: Vec<_> = (NEVER_READ..SUBSCRIBERS)
        .map(|_| {
            let mut subscription = subscribe();
            tokio::spawn(async move {
                let mut accounted = 0;
                while let Ok(sample) = subscription.recv().await {
                    accounted += 1 + sample.missed.total();
                    assert_eq!(sample.sequence, accounted);
                }
                accounted
            })
        })
        .collect();

    let mut published: Vec<Weak<Happening>> = Vec::new();
    for event in 1..=EVENTS {
        let event = Arc::new(Happening(event));
        published.push(Arc::downgrade(&event));
        publisher.publish_shared(event);
    }
    bus.shutdown().await;
    for reader in readers {
        assert_eq!(reader.await.unwrap(), EVENTS);
    }

    // What those who never read hold is the last few, and the cache the last.
    let alive = published.iter().filter(|event| event.strong_count() > 0);
    assert_eq!(alive.count(), QUEUE);
    for mut subscription in never_read {
        let oldest = subscription.recv().await.unwrap();
        assert_eq!(oldest.missed.total(), EVENTS - QUEUE as u64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribing_and_dropping_while_samples_are_delivered_leaves_nobody_behind() {
    let bus = builder()
        .producer::<Happening>(Backend::Ebpf)
        .build()
        .unwrap();
    let publisher = bus.publisher::<Happening>().unwrap();
    let publishing = tokio::task::spawn_blocking(move || {
        for event in 0..20_000 {
            publisher.publish(Happening(event));
        }
        publisher
    });
    let churning: Vec<_> = (0..8)
        .map(|_| {
            let bus = bus.clone();
            tokio::spawn(async move {
                for _ in 0..500 {
                    let mut one = bus.subscribe::<Happening>(every(secs(1))).unwrap();
                    tokio::select! {
                        biased;
                        _ = one.recv() => {}
                        () = tokio::task::yield_now() => {}
                    }
                }
            })
        })
        .collect();
    for task in churning {
        task.await.unwrap();
    }
    let publisher = publishing.await.unwrap();
    assert!(!publisher.is_wanted());
    assert_eq!(bus.status().subscriptions, 0);
}
