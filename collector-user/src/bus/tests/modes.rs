use super::support::{Quick, Steady, builder, millis, pass, quick, secs, steady, time_of, times};
use crate::bus::{Mode, SnapshotRequest, every};

#[tokio::test(start_paused = true)]
async fn without_a_bus_each_subscriber_collects_for_itself() {
    let collector = quick();
    let calls = collector.calls();
    let bus = builder()
        .mode(Mode::Independent)
        .collector(collector)
        .build()
        .unwrap();
    let mut one = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    pass(millis(300)).await;
    let mut other = bus.subscribe::<Quick>(every(secs(2))).unwrap();
    assert_eq!(times(&mut other, 2).await, [millis(300), millis(2_300)]);
    assert_eq!(calls.count(), 3 + 2);
    let sample = one.recv().await.unwrap();
    assert_eq!((time_of(&sample), sample.missed.total()), (secs(2), 2));
    bus.snapshot(SnapshotRequest::default()).await.unwrap();
    assert_eq!(calls.count(), 6);
}

#[tokio::test(start_paused = true)]
async fn without_a_bus_those_who_are_due_together_collect_one_by_one() {
    let collector = quick();
    let calls = collector.calls();
    let bus = builder()
        .mode(Mode::Independent)
        .collector(collector)
        .build()
        .unwrap();
    let mut all: Vec<_> = (0..10)
        .map(|_| bus.subscribe::<Quick>(every(secs(1))).unwrap())
        .collect();
    pass(millis(2_500)).await;
    assert_eq!(calls.count(), 30);
    for one in &mut all {
        let sample = one.recv().await.unwrap();
        assert_eq!((time_of(&sample), sample.missed.total()), (secs(2), 2));
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_cache_only_a_young_reading_is_shared() {
    let collector = quick();
    let calls = collector.calls();
    let bus = builder()
        .mode(Mode::Cache)
        .collector(collector)
        .build()
        .unwrap();
    let mut one = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    pass(millis(500)).await;
    let mut other = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    // The second gets what the first has caused, half a second old.
    assert_eq!(times(&mut other, 3).await, [secs(0), secs(1), secs(2)]);
    let sample = one.recv().await.unwrap();
    assert_eq!((time_of(&sample), sample.missed.total()), (secs(2), 2));
    assert_eq!(calls.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn without_a_bus_metrics_share_no_tick() {
    for (mode, ticks) in [(Mode::Bus, 1), (Mode::Cache, 2), (Mode::Independent, 2)] {
        let bus = builder()
            .mode(mode)
            .collector(quick())
            .collector(steady())
            .build()
            .unwrap();
        let _quick = bus.subscribe::<Quick>(every(secs(10))).unwrap();
        let _steady = bus.subscribe::<Steady>(every(secs(10))).unwrap();
        pass(secs(1)).await;
        assert_eq!(bus.status().ticks, ticks, "{mode:?}");
    }
}
