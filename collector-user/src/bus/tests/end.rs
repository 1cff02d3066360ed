//! How subscriptions end, and what is told of losses.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};

use super::support::{Happening, Quick, builder, millis, pass, quick, secs, time_of};
use crate::{
    bus::{
        BuildError, Bus, Ended, RecvError, SubscribeError, SubscribeOptions, every,
        testing::{MockCollector, TestClock},
    },
    metric::{Backend, Missed, Status},
};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn subscriptions_to_collected_metrics_end_with_the_runtime_of_the_bus() {
    let first = runtime();
    let (bus, mut quick) = first.block_on(async {
        let bus = Bus::builder().collector(quick()).build().unwrap();
        let mut quick = bus.subscribe::<Quick>(every(secs(1))).unwrap();
        quick.recv().await.unwrap();
        assert_eq!(bus.ended(), None);
        (bus, quick)
    });
    first.shutdown_background();
    runtime().block_on(async {
        let ended = loop {
            match quick.recv().await {
                Ok(_) => {}
                Err(ended) => break ended,
            }
        };
        assert_eq!(ended, RecvError::Ended(Ended::RuntimeGone));
        assert_eq!(quick.ended(), Some(&Ended::RuntimeGone));
        assert_eq!(bus.wait_for_end().await, Ended::RuntimeGone);
        assert_eq!(
            bus.subscribe::<Quick>(every(secs(1))).unwrap_err(),
            SubscribeError::Ended(Ended::RuntimeGone)
        );
    });
}

#[test]
fn what_is_published_goes_on_without_the_runtime() {
    let first = runtime();
    let (bus, mut events) = first.block_on(async {
        let bus = Bus::builder()
            .producer::<Happening>(Backend::Ebpf)
            .build()
            .unwrap();
        let events = bus.subscribe::<Happening>(SubscribeOptions::default());
        (bus, events.unwrap())
    });
    first.shutdown_background();
    bus.publisher::<Happening>().unwrap().publish(Happening(7));
    let sample = runtime().block_on(events.recv()).unwrap();
    assert_eq!(sample.data.as_deref(), Some(&Happening(7)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_anyone_who_could_publish_ends() {
    let bus = builder()
        .producer::<Happening>(Backend::Ebpf)
        .build()
        .unwrap();
    let mut events = bus
        .subscribe::<Happening>(SubscribeOptions::default())
        .unwrap();
    let publisher = bus.publisher::<Happening>().unwrap();
    let other = publisher.clone();
    let weak = publisher.downgrade();
    drop(bus);
    drop(publisher);
    other.publish(Happening(1));
    drop(other);
    assert!(events.recv().await.is_ok());
    // Who publishes without keeping the bus alive is a producer too.
    weak.upgrade().unwrap().publish(Happening(2));
    assert!(events.recv().await.is_ok());
    drop(weak);
    assert_eq!(
        events.recv().await.unwrap_err(),
        RecvError::Ended(Ended::ProducerGone)
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_attached_lives_as_long_as_the_bus_and_its_subscriptions() {
    let bus = builder()
        .producer::<Happening>(Backend::Ebpf)
        .build()
        .unwrap();
    let attached = Arc::new(());
    bus.attach(Arc::clone(&attached));
    let events = bus
        .subscribe::<Happening>(SubscribeOptions::default())
        .unwrap();
    drop(bus);
    assert_eq!(Arc::strong_count(&attached), 2);
    drop(events);
    assert_eq!(Arc::strong_count(&attached), 1);
}

#[tokio::test(start_paused = true)]
async fn a_weak_publisher_waits_for_subscribers_and_ends_with_the_bus() {
    let bus = builder()
        .producer::<Happening>(Backend::Ebpf)
        .build()
        .unwrap();
    let weak = bus.publisher::<Happening>().unwrap().downgrade();
    let waits = tokio::spawn(async move { (weak.wanted().await, weak) });
    pass(secs(1)).await;
    assert!(!waits.is_finished());
    let events = bus
        .subscribe::<Happening>(SubscribeOptions::default())
        .unwrap();
    let (wanted, weak) = waits.await.unwrap();
    assert!(wanted);
    drop(events);
    let waits = tokio::spawn(async move { weak.wanted().await });
    pass(secs(1)).await;
    assert!(!waits.is_finished());
    drop(bus);
    assert!(!waits.await.unwrap());
}

#[test]
fn a_runtime_without_a_timer_is_an_error_and_so_is_none() {
    let build = || Bus::builder().host("test").build();
    assert_eq!(build().unwrap_err(), BuildError::NoRuntime);
    let without_timer = Builder::new_current_thread().build().unwrap();
    assert_eq!(
        without_timer.block_on(async { build() }).unwrap_err(),
        BuildError::NoTimer
    );
}

#[tokio::test(start_paused = true)]
async fn names_that_are_doubled_and_paces_of_nothing_are_errors() {
    let error = builder()
        .collector(quick())
        .producer::<Quick>(Backend::Procfs)
        .build()
        .unwrap_err();
    assert_eq!(error, BuildError::Doubled("quick".to_owned()));
    let error = builder().collector(quick()).pace("quik", secs(1)).build();
    assert_eq!(
        error.unwrap_err().to_string(),
        "a pace is set for \"quik\", which is not on the bus; there are quick"
    );
    let error = builder().collector(quick()).pace("quick", secs(0)).build();
    assert!(matches!(error.unwrap_err(), BuildError::BadPace { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_panics_ends_the_bus_and_says_why() {
    #[derive(Debug)]
    struct BreaksLater(TestClock, std::sync::atomic::AtomicU64);

    impl crate::bus::Clock for BreaksLater {
        fn now(&self) -> crate::bus::Timestamp {
            let calls = self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            assert!(calls < 20, "the clock broke");
            self.0.now()
        }
    }

    let clock = BreaksLater(TestClock::default(), std::sync::atomic::AtomicU64::new(0));
    let bus = Bus::builder()
        .clock(clock)
        .host("test")
        .producer::<Happening>(Backend::Ebpf)
        .build()
        .unwrap();
    let wakes = bus.subscribe_any("happening", SubscribeOptions::default());
    drop(wakes);
    for _ in 0..40 {
        if bus.ended().is_some() {
            break;
        }
        // Each subscription makes the scheduler look at the clock.
        drop(bus.subscribe_any("happening", SubscribeOptions::default()));
        tokio::task::yield_now().await;
    }
    assert_eq!(
        bus.wait_for_end().await,
        Ended::SchedulerPanicked("the clock broke".into())
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_after_the_last_event_is_told_without_waiting_for_another() {
    let bus = builder()
        .producer::<Happening>(Backend::Ebpf)
        .build()
        .unwrap();
    let publisher = bus.publisher::<Happening>().unwrap();
    let mut events = bus
        .subscribe::<Happening>(SubscribeOptions::default())
        .unwrap();
    assert!(events.try_recv().unwrap().is_none());
    publisher.publish(Happening(1));
    publisher.lost(3);
    assert!(events.recv().await.unwrap().data.is_some());
    let gap = events.try_recv().unwrap().unwrap();
    assert_eq!((gap.missed, gap.sequence), (Missed::at_source(3), 4));
    assert_eq!((&gap.status, gap.data), (&Status::Ok, None));
    publisher.lost(2);
    bus.shutdown().await;
    let gap = events.recv().await.unwrap();
    assert_eq!(gap.missed, Missed::at_source(2));
    assert_eq!(
        events.recv().await.unwrap_err(),
        RecvError::Ended(Ended::ShutDown)
    );
}

#[tokio::test(start_paused = true)]
async fn due_times_at_which_nothing_was_collected_are_told_as_skipped() {
    let bus = builder().collector(quick()).build().unwrap();
    let mut one = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    one.recv().await.unwrap();
    pass(millis(1_500)).await;
    one.recv().await.unwrap();
    // The runtime has no time for anything, as on a machine that is stopped.
    tokio::time::advance(secs(4)).await;
    let late = one.recv().await.unwrap();
    assert_eq!(time_of(&late), millis(5_500));
    assert_eq!(late.missed, Missed::skipped(3));
    assert_eq!(one.recv().await.unwrap().missed, Missed::NONE);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_less_than_the_floor_is_told_the_interval_in_force() {
    let collector = quick().floor(millis(200));
    let bus = builder().collector(collector).build().unwrap();
    let fast = bus.subscribe::<Quick>(every(millis(1))).unwrap();
    assert_eq!(fast.interval(), millis(200));
    let slow = bus.subscribe_any("quick", every(secs(3))).unwrap();
    assert_eq!(slow.interval(), secs(3));
    let usual = bus.subscribe_any("quick", SubscribeOptions::default());
    assert_eq!(usual.unwrap().interval(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn the_configured_pace_is_that_of_who_gives_none_and_of_snapshots() {
    let collector = quick();
    let calls = collector.calls();
    let bus = builder().collector(collector).pace("quick", secs(5));
    let bus = bus.build().unwrap();
    let usual = bus.subscribe_any("quick", SubscribeOptions::default());
    assert_eq!(usual.unwrap().interval(), secs(5));
    let snapshot = || bus.snapshot(crate::bus::SnapshotRequest::all());
    snapshot().await.unwrap();
    let before = calls.count();
    pass(secs(4)).await;
    assert_eq!(
        snapshot().await.unwrap().metrics["quick"].status,
        Status::Ok
    );
    assert_eq!(calls.count(), before);
    pass(secs(2)).await;
    snapshot().await.unwrap();
    assert_eq!(calls.count(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_shall_be_fresh_is() {
    let bus = builder().collector(quick()).build().unwrap();
    let fresh = || bus.snapshot(crate::bus::SnapshotRequest::all().fresh());
    for call in 1..=2 {
        let snapshot = fresh().await.unwrap();
        let sample = snapshot.metrics["quick"].downcast::<Quick>().unwrap();
        assert_eq!(sample.status, Status::Ok);
        assert_eq!(sample.data.as_deref(), Some(&Quick(call)));
        // Below its floor a metric is not collected again.
        assert_eq!(fresh().await.unwrap().metrics["quick"].status, Status::Ok);
        pass(secs(1)).await;
    }
}

#[tokio::test]
async fn a_snapshot_that_shall_be_fresh_is_ok_on_the_clock_of_the_host() {
    let slow = MockCollector::new(|call| {
        std::thread::sleep(Duration::from_millis(5));
        Ok(Quick(call))
    });
    let bus = Bus::builder().collector(slow).build().unwrap();
    let request = crate::bus::SnapshotRequest::of(["quick"]).fresh();
    let snapshot = bus.snapshot(request).await.unwrap();
    assert_eq!(snapshot.metrics["quick"].status, Status::Ok);
}

#[tokio::test]
async fn a_runtime_without_blocking_threads_to_spare_delays_no_collection() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    drop(runtime.spawn_blocking(move || held.recv()));
    let (done, is_done) = tokio::sync::oneshot::channel();
    runtime.spawn(async move {
        let bus = Bus::builder().collector(quick()).build().unwrap();
        let mut quick = bus.subscribe::<Quick>(every(secs(1))).unwrap();
        let _ = done.send(quick.recv().await.map(|sample| sample.status));
    });
    assert_eq!(is_done.await.unwrap(), Ok(Status::Ok));
    drop(release);
    runtime.shutdown_background();
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_bounded_by_the_bytes_of_its_readings() {
    let bus = builder()
        .producer::<Happening>(Backend::Ebpf)
        .cache_budget(1 << 20)
        .build()
        .unwrap();
    let publisher = bus.publisher::<Happening>().unwrap();
    let size = size_of::<Happening>();
    let options = SubscribeOptions::default()
        .queue(1_000)
        .max_queue_bytes(10 * size);
    let mut few = bus.subscribe::<Happening>(options).unwrap();
    let mut all = bus
        .subscribe::<Happening>(SubscribeOptions::default().queue(1_000))
        .unwrap();
    let mut published: Vec<Weak<Happening>> = Vec::new();
    for event in 1..=100 {
        let event = Arc::new(Happening(event));
        published.push(Arc::downgrade(&event));
        publisher.publish_shared(event);
    }
    // Each reading counts once, however many queues it waits in.
    assert_eq!(bus.status().queued_bytes, 100 * size);
    assert_eq!(few.recv().await.unwrap().missed, Missed::by_subscriber(90));
    while all.try_recv().unwrap().is_some() {}
    drop(all);
    assert_eq!(bus.status().queued_bytes, 9 * size);
    drop(few);
    assert_eq!(bus.status().queued_bytes, 0);
    let alive = published.iter().filter(|event| event.strong_count() > 0);
    assert_eq!(alive.count(), 1, "the cache keeps the last");
}

#[tokio::test(start_paused = true)]
async fn queues_shrink_when_the_budget_of_the_bus_is_used_up() {
    #[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
    struct Large(usize);

    impl crate::metric::Reading for Large {
        const METRIC: crate::metric::MetricInfo = crate::metric::MetricInfo {
            name: "large",
            tier: crate::metric::Tier::Fast,
            kind: crate::metric::Kind::State,
            help: "For tests.",
        };

        fn heap_bytes(&self) -> usize {
            self.0
        }
    }

    let bus = builder()
        .producer::<Large>(Backend::Procfs)
        .cache_budget(8 << 20)
        .build()
        .unwrap();
    let publisher = bus.publisher::<Large>().unwrap();
    let options = SubscribeOptions::default().queue(1_000);
    let subscriptions: Vec<_> = (0..10)
        .map(|_| bus.subscribe::<Large>(options).unwrap())
        .collect();
    for _ in 0..100 {
        publisher.publish(Large(3 << 20));
        let queued = bus.status().queued_bytes;
        assert!(queued <= (8 << 20) + (3 << 20), "{queued}");
    }
    drop(subscriptions);
}
