use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio_stream::StreamExt as _;

use super::support::{Happening, Quick, builder, millis, pass, quick, secs, time_of, times};
use crate::{
    bus::{Ended, SubscribeError, SubscribeOptions, every, testing::MockCollector},
    metric::{Backend, Status},
};

#[tokio::test(start_paused = true)]
async fn a_new_subscriber_gets_the_cached_sample_at_once_if_it_is_fresh() {
    let collector = quick();
    let calls = collector.calls();
    let bus = builder().collector(collector).build().unwrap();
    let mut first = bus.subscribe::<Quick>(every(secs(10))).unwrap();
    times(&mut first, 1).await;
    pass(millis(2_500)).await;
    let mut second = bus.subscribe::<Quick>(every(secs(10))).unwrap();
    assert_eq!(times(&mut second, 2).await, [secs(0), secs(10)]);
    assert_eq!(calls.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_subscriber_for_whom_the_cache_is_too_old_causes_a_collection_at_once() {
    let bus = builder().collector(quick()).build().unwrap();
    let mut first = bus.subscribe::<Quick>(every(secs(10))).unwrap();
    times(&mut first, 1).await;
    pass(millis(2_500)).await;
    let mut second = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    assert_eq!(
        times(&mut second, 3).await,
        [millis(2_500), secs(3), secs(4)]
    );
    assert_eq!(times(&mut first, 1).await, [secs(10)]);
}

#[tokio::test(start_paused = true)]
async fn the_latest_sample_replaces_those_before_it_and_says_how_many() {
    let bus = builder().collector(quick()).build().unwrap();
    let mut slow = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    pass(millis(5_500)).await;
    let sample = slow.recv().await.unwrap();
    assert_eq!((time_of(&sample), sample.missed.total()), (secs(5), 5));
    let sample = slow.recv().await.unwrap();
    assert_eq!((time_of(&sample), sample.missed.total()), (secs(6), 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_the_oldest_and_says_how_many() {
    let bus = builder().collector(quick()).build().unwrap();
    let mut slow = bus.subscribe::<Quick>(every(secs(1)).queue(3)).unwrap();
    pass(millis(5_500)).await;
    let mut got = Vec::new();
    for _ in 0..4 {
        let sample = slow.recv().await.unwrap();
        got.push((time_of(&sample).as_secs(), sample.missed.total()));
    }
    assert_eq!(got, [(3, 3), (4, 0), (5, 0), (6, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_does_not_delay_a_fast_one() {
    let bus = builder().collector(quick()).build().unwrap();
    let _never_reads = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    let mut reads = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    let expected: Vec<_> = (0..100).map(secs).collect();
    assert_eq!(times(&mut reads, 100).await, expected);
}

#[tokio::test(start_paused = true)]
async fn all_subscribers_share_one_reading() {
    let bus = builder()
        .producer::<Quick>(Backend::Procfs)
        .build()
        .unwrap();
    let mut all: Vec<_> = (0..1_000)
        .map(|_| bus.subscribe::<Quick>(SubscribeOptions::default()).unwrap())
        .collect();
    let reading = Arc::new(Quick(7));
    bus.publisher::<Quick>()
        .unwrap()
        .publish_shared(Arc::clone(&reading));
    for one in &mut all {
        let sample = one.recv().await.unwrap();
        assert!(Arc::ptr_eq(sample.data.as_ref().unwrap(), &reading));
    }
}

#[tokio::test(start_paused = true)]
async fn every_event_is_delivered_and_gaps_are_counted() {
    let bus = builder()
        .producer::<Happening>(Backend::Ebpf)
        .build()
        .unwrap();
    let publisher = bus.publisher::<Happening>().unwrap();
    assert!(!publisher.is_wanted());
    let mut all = bus.subscribe::<Happening>(every(secs(1))).unwrap();
    let mut few = bus.subscribe::<Happening>(every(secs(1)).queue(3)).unwrap();
    assert!(publisher.is_wanted());
    for event in 1..=10 {
        publisher.publish(Happening(event));
    }
    publisher.lost(5);
    publisher.publish(Happening(16));
    for event in 1..=10 {
        let sample = all.recv().await.unwrap();
        assert_eq!((sample.sequence, sample.missed.total()), (event, 0));
    }
    let sample = all.recv().await.unwrap();
    assert_eq!((sample.sequence, sample.missed.total()), (16, 5));
    let mut got = Vec::new();
    for _ in 0..3 {
        let sample = few.recv().await.unwrap();
        got.push((sample.sequence, sample.missed.total()));
    }
    assert_eq!(got, [(9, 8), (10, 0), (16, 5)]);
}

#[tokio::test(start_paused = true)]
async fn a_producer_can_say_that_there_is_nothing() {
    let bus = builder()
        .producer::<Happening>(Backend::Ebpf)
        .build()
        .unwrap();
    bus.publisher::<Happening>()
        .unwrap()
        .unavailable("no such tracepoint");
    let mut late = bus.subscribe::<Happening>(every(secs(1))).unwrap();
    let sample = late.recv().await.unwrap();
    assert!(
        matches!(sample.status, Status::Unavailable { reason, .. } if reason.to_string() == "no such tracepoint")
    );
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_loses_no_sample_that_was_taken() {
    let bus = builder().collector(quick()).build().unwrap();
    let mut one = bus.subscribe::<Quick>(every(secs(1)).queue(3)).unwrap();
    pass(millis(1_500)).await;
    bus.shutdown().await;
    assert_eq!(times(&mut one, 2).await, [secs(0), secs(1)]);
    assert!(one.recv().await.is_err());
    assert_eq!(
        bus.subscribe::<Quick>(every(secs(1))).unwrap_err(),
        SubscribeError::Ended(Ended::ShutDown)
    );
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_wakes_those_who_wait() {
    let bus = builder()
        .producer::<Happening>(Backend::Ebpf)
        .build()
        .unwrap();
    let mut one = bus.subscribe::<Happening>(every(secs(1))).unwrap();
    let waiting = tokio::spawn(async move { one.recv().await });
    pass(secs(1)).await;
    bus.shutdown().await;
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_subscribed_to_is_an_error() {
    let bus = builder().collector(quick()).build().unwrap();
    let error = bus.subscribe_any("cpu", every(secs(1))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no metric \"cpu\"; there are quick"
    );
    for interval in [millis(0), secs(365 * 86_400)] {
        let error = bus.subscribe::<Quick>(every(interval)).unwrap_err();
        assert_eq!(error, SubscribeError::BadInterval(interval));
    }
    assert_eq!(
        bus.publisher::<Quick>().unwrap_err(),
        SubscribeError::NotPublished("quick".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_a_stream() {
    let bus = builder().collector(quick()).build().unwrap();
    let typed = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    let untyped = bus.subscribe_any("quick", every(secs(2))).unwrap();
    let typed: Vec<_> = typed.take(3).map(|sample| time_of(&sample)).collect().await;
    assert_eq!(typed, [secs(0), secs(1), secs(2)]);
    // The samples of one tick are delivered to one after the other.
    pass(millis(1)).await;
    let untyped: Vec<_> = untyped.take(2).collect().await;
    assert_eq!(untyped[0].downcast::<Quick>().unwrap().missed.total(), 1);
    assert!(untyped[0].downcast::<Happening>().is_none());
}

#[tokio::test(start_paused = true)]
async fn to_give_up_waiting_for_a_sample_loses_none() {
    let bus = builder().collector(quick()).build().unwrap();
    let options = every(secs(1)).queue(3);
    let mut one = bus.subscribe::<Quick>(options).unwrap();
    let mut got = Vec::new();
    while got.len() < 5 {
        if let Ok(sample) = tokio::time::timeout(millis(300), one.recv()).await {
            got.push(sample.unwrap().sequence);
        }
    }
    assert_eq!(got, [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn the_bus_ends_with_the_last_who_holds_it() {
    let held = Arc::new(());
    let holds = Arc::clone(&held);
    let collector = MockCollector::new(move |call| {
        drop(Arc::clone(&holds));
        Ok(Quick(call))
    });
    let bus = builder().collector(collector).build().unwrap();
    let mut one = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    drop(bus);
    assert_eq!(times(&mut one, 3).await, [secs(0), secs(1), secs(2)]);
    drop(one);
    pass(secs(1)).await;
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test(start_paused = true)]
async fn who_reads_a_long_queue_lets_others_run_in_between() {
    let bus = builder()
        .producer::<Happening>(Backend::Ebpf)
        .build()
        .unwrap();
    let publisher = bus.publisher::<Happening>().unwrap();
    let mut events = bus.subscribe::<Happening>(every(secs(1))).unwrap();
    for event in 1..=1_000 {
        publisher.publish(Happening(event));
    }
    let others_ran = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&others_ran);
    let reads = tokio::spawn(async move {
        for _ in 1..=1_000 {
            events.recv().await.unwrap();
        }
        seen.load(Ordering::SeqCst)
    });
    let other = tokio::spawn(async move { others_ran.store(true, Ordering::SeqCst) });
    assert!(reads.await.unwrap(), "the other had to wait for all");
    other.await.unwrap();
}
