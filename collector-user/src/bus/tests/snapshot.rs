use super::support::{
    Happening, Hardware, Quick, START, builder, millis, pass, quick, secs, steady,
};
use crate::{
    bus::{
        SnapshotRequest, SubscribeError, every,
        testing::{MockCollector, TestClock},
    },
    metric::{Backend, Metric, Status},
};

fn of(metric: &str) -> SnapshotRequest {
    SnapshotRequest {
        metrics: Some(vec![metric.to_owned()]),
        max_age: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_holds_all_state_and_no_events() {
    let bus = builder()
        .collector(quick())
        .collector(steady())
        .producer::<Happening>(Backend::Ebpf)
        .build()
        .unwrap();
    let snapshot = bus.snapshot(SnapshotRequest::default()).await.unwrap();
    assert_eq!(&*snapshot.host, "test");
    assert_eq!(
        snapshot
            .metrics
            .keys()
            .map(Metric::name)
            .collect::<Vec<_>>(),
        ["quick", "steady"]
    );
    assert_eq!(bus.status().ticks, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_young_enough_is_not_collected_again() {
    let collector = quick();
    let calls = collector.calls();
    let bus = builder().collector(collector).build().unwrap();
    for _ in 0..10 {
        bus.snapshot(of("quick")).await.unwrap();
        pass(millis(100)).await;
    }
    assert_eq!(calls.count(), 1);
    pass(millis(100)).await;
    bus.snapshot(of("quick")).await.unwrap();
    assert_eq!(calls.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_concurrent_snapshots_cause_one_collection() {
    let collector = quick();
    let calls = collector.calls();
    let bus = builder().collector(collector).build().unwrap();
    let all: Vec<_> = (0..1_000)
        .map(|_| {
            let bus = bus.clone();
            tokio::spawn(async move { bus.snapshot(of("quick")).await.unwrap() })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap().metrics["quick"].sequence, 1);
    }
    assert_eq!(calls.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reading_from_before_a_suspend_is_not_fresh() {
    let clock = TestClock::starting_at(START);
    let bus = builder()
        .clock(clock.clone())
        .collector(quick())
        .build()
        .unwrap();
    bus.snapshot(of("quick")).await.unwrap();
    pass(millis(200)).await;
    clock.suspend(secs(8 * 3600));
    let snapshot = bus.snapshot(of("quick")).await.unwrap();
    assert_eq!(snapshot.metrics["quick"].sequence, 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_subscription_brings_serves_snapshots_too() {
    let collector = MockCollector::new(|call| Ok(Hardware(call)));
    let calls = collector.calls();
    let bus = builder().collector(collector).build().unwrap();
    let mut one = bus.subscribe::<Hardware>(every(secs(60))).unwrap();
    one.recv().await.unwrap();
    bus.snapshot(of("hardware")).await.unwrap();
    assert_eq!(calls.count(), 1);
    assert_eq!(bus.status().metrics[0].counters.cache_hits, 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_never_published_is_unavailable() {
    let bus = builder().producer::<Quick>(Backend::Ebpf).build().unwrap();
    let snapshot = bus.snapshot(of("quick")).await.unwrap();
    assert!(matches!(
        snapshot.metrics["quick"].status,
        Status::Unavailable { .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_is_an_error_that_names_those_there_are() {
    let bus = builder().collector(quick()).build().unwrap();
    let error = bus.snapshot(of("quack")).await.unwrap_err();
    assert_eq!(
        error,
        SubscribeError::UnknownMetric {
            name: "quack".to_owned(),
            known: vec!["quick".to_owned()]
        }
    );
}
