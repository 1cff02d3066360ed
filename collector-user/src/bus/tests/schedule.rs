use super::support::{Quick, Steady, builder, millis, pass, quick, secs, steady, times};
use crate::bus::every;

#[tokio::test(start_paused = true)]
async fn samples_come_at_the_multiples_of_the_interval() {
    let bus = builder().collector(quick()).build().unwrap();
    pass(millis(300)).await;
    let mut one = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    assert_eq!(
        times(&mut one, 4).await,
        [millis(300), secs(1), secs(2), secs(3)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_metric_that_nobody_wants_is_not_collected() {
    let collector = quick();
    let calls = collector.calls();
    let _bus = builder().collector(collector).build().unwrap();
    pass(secs(3600)).await;
    assert_eq!(calls.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn metrics_that_are_due_together_share_one_tick() {
    let bus = builder()
        .collector(quick())
        .collector(steady())
        .build()
        .unwrap();
    let _quick = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    let _steady = bus.subscribe::<Steady>(every(secs(1))).unwrap();
    pass(millis(500)).await;
    let before = bus.status().ticks;
    pass(secs(10)).await;
    assert_eq!(bus.status().ticks - before, 10);
}

#[tokio::test(start_paused = true)]
async fn the_fastest_subscriber_sets_the_pace_and_each_gets_its_own() {
    let collector = quick();
    let calls = collector.calls();
    let bus = builder().collector(collector).build().unwrap();
    let mut slow = bus.subscribe::<Quick>(every(secs(10))).unwrap();
    let mut fast = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    let fast_times = tokio::spawn(async move { times(&mut fast, 21).await });
    assert_eq!(times(&mut slow, 3).await, [secs(0), secs(10), secs(20)]);
    let expected: Vec<_> = (0..=20).map(secs).collect();
    assert_eq!(fast_times.await.unwrap(), expected);
    assert_eq!(calls.count(), 21);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_fastest_subscription_relaxes_the_pace() {
    let collector = quick();
    let calls = collector.calls();
    let bus = builder().collector(collector).build().unwrap();
    let _slow = bus.subscribe::<Quick>(every(secs(10))).unwrap();
    let fast = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    pass(millis(10_500)).await;
    assert_eq!(calls.count(), 11);
    drop(fast);
    pass(secs(20)).await;
    assert_eq!(calls.count(), 13);
}

#[tokio::test(start_paused = true)]
async fn who_awaits_a_tick_of_a_faster_subscriber_still_gets_it_when_that_one_goes() {
    let bus = builder().collector(quick()).build().unwrap();
    let fast = bus.subscribe::<Quick>(every(secs(2))).unwrap();
    let mut slow = bus.subscribe::<Quick>(every(secs(3))).unwrap();
    // The slow one is due at 1005, between two ticks of the fast one.
    assert_eq!(times(&mut slow, 2).await, [secs(0), secs(2)]);
    pass(millis(3_500)).await;
    drop(fast);
    assert_eq!(times(&mut slow, 2).await, [secs(6), secs(8)]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_collected_after_the_last_subscription_is_dropped() {
    let collector = quick();
    let calls = collector.calls();
    let bus = builder().collector(collector).build().unwrap();
    let mut only = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    times(&mut only, 3).await;
    drop(only);
    pass(secs(3600)).await;
    assert_eq!(calls.count(), 3);
    assert_eq!(bus.status().metrics[0].pace_ns, None);
}

#[tokio::test(start_paused = true)]
async fn no_interval_is_shorter_than_the_floor() {
    let bus = builder().collector(quick().floor(secs(2))).build().unwrap();
    let mut eager = bus.subscribe::<Quick>(every(millis(1))).unwrap();
    assert_eq!(times(&mut eager, 3).await, [secs(0), secs(2), secs(4)]);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_whose_interval_is_no_multiple_of_the_pace_gets_one_sample_an_interval() {
    let bus = builder().collector(quick()).build().unwrap();
    let _fast = bus.subscribe::<Quick>(every(secs(2))).unwrap();
    let mut odd = bus.subscribe::<Quick>(every(secs(3))).unwrap();
    // Due at 1002, 1005, 1008, 1011 on the clock, which starts at 1000.
    assert_eq!(
        times(&mut odd, 5).await,
        [secs(0), secs(2), secs(6), secs(8), secs(12)]
    );
}

#[tokio::test(start_paused = true)]
async fn missed_ticks_are_skipped_and_counted() {
    let bus = builder().collector(quick()).build().unwrap();
    let mut one = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    times(&mut one, 2).await;
    // As after a minute of SIGSTOP: no task ran, but the clock did.
    tokio::time::advance(millis(60_300)).await;
    assert_eq!(
        times(&mut one, 3).await,
        [millis(61_300), secs(62), secs(63)]
    );
    assert_eq!(bus.status().metrics[0].counters.skipped, 59);
}

#[tokio::test(start_paused = true)]
async fn the_schedule_does_not_drift() {
    let collector = quick();
    let calls = collector.calls();
    let bus = builder().collector(collector).build().unwrap();
    let mut one = bus.subscribe::<Quick>(every(millis(700))).unwrap();
    pass(millis(4 * 3_600_000 + 200)).await;
    // The clock starts at 1000 s, and 1000.3 s is a multiple of 0.7 s.
    assert_eq!(calls.count(), 1 + (4 * 3_600_000 - 300) / 700 + 1);
    one.recv().await.unwrap();
    let next = times(&mut one, 1).await[0];
    assert_eq!((next + secs(1000)).as_millis() % 700, 0);
}
