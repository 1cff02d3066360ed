use std::time::Instant;

use super::support::{
    Hardware, OpensAtEnd, Quick, Steady, builder, millis, pass, secs, steady, times,
};
use crate::{
    bus::{
        Health, SnapshotRequest, Subscription, every,
        testing::{Gate, MockCollector},
    },
    collectors::CollectError,
    metric::{Sample, Status},
};

#[tokio::test(start_paused = true)]
async fn an_error_is_told_to_the_subscribers_of_its_metric_only() {
    let broken = MockCollector::<Quick>::new(|_| Err(CollectError::failed("no such file")));
    let bus = builder()
        .collector(broken)
        .collector(steady())
        .build()
        .unwrap();
    let mut broken = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    let mut works = bus.subscribe::<Steady>(every(secs(1))).unwrap();
    let sample = broken.recv().await.unwrap();
    assert!(sample.data.is_none());
    assert!(
        matches!(sample.status, Status::Unavailable { reason, .. } if reason.to_string() == "no such file")
    );
    assert_eq!(times(&mut works, 3).await, [secs(0), secs(1), secs(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_error_with_its_message() {
    let broken = MockCollector::<Quick>::new(|_| panic!("index out of range"));
    let bus = builder().collector(broken).build().unwrap();
    let mut broken = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    let sample = broken.recv().await.unwrap();
    assert!(matches!(
        sample.status,
        Status::Unavailable { reason, .. } if reason.to_string() == "the collector panicked: index out of range"
    ));
    assert_eq!(bus.status().metrics[0].counters.panics, 1);
}

#[tokio::test(start_paused = true)]
async fn repeated_failure_is_retried_with_growing_delay_and_recovers() {
    let mends = MockCollector::new(|call| {
        if call <= 6 {
            Err(CollectError::failed("broken"))
        } else {
            Ok(Quick(call))
        }
    });
    let bus = builder().collector(mends).build().unwrap();
    let mut one = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    // At the usual pace at first, then after 2, 4, 8 and 16 s; then it is well.
    assert_eq!(
        times(&mut one, 9).await,
        [0, 1, 2, 4, 8, 16, 32, 33, 34].map(secs)
    );
    assert_eq!(bus.status().metrics[0].health, Health::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_failure_lasts_since_the_first_attempt_that_failed() {
    let broken = MockCollector::<Quick>::new(|_| Err(CollectError::failed("broken")));
    let bus = builder().collector(broken).build().unwrap();
    let mut one = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    let first = one.recv().await.unwrap();
    let second = one.recv().await.unwrap();
    assert_eq!(first.status, second.status);
    assert_eq!(second.sequence, 2);
}

#[tokio::test(start_paused = true)]
async fn a_hung_collection_is_told_and_takes_one_thread_only() {
    let gate = Gate::shut();
    let _opens = OpensAtEnd(gate.clone());
    let held = gate.clone();
    let hangs = MockCollector::new(move |call| {
        held.pass();
        Ok(Quick(call))
    });
    let calls = hangs.calls();
    let bus = builder()
        .collector(hangs.deadline(secs(5)))
        .build()
        .unwrap();
    let mut one = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    while calls.count() == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(secs(5)).await;
    let sample = one.recv().await.unwrap();
    assert!(matches!(
        sample.status,
        Status::Unavailable { reason, .. } if reason.to_string() == "the collection has not ended after 5s"
    ));
    for _ in 0..100 {
        tokio::time::advance(secs(1)).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(calls.count(), 1);
    assert_eq!(bus.status().metrics[0].health, Health::Hung);
    gate.open();
    let sample = one.recv().await.unwrap();
    assert_eq!(sample.data.as_deref(), Some(&Quick(2)));
}

#[tokio::test(start_paused = true)]
async fn a_hung_collection_holds_up_no_other_metric_of_its_tick() {
    let gate = Gate::shut();
    let _opens = OpensAtEnd(gate.clone());
    let held = gate.clone();
    let hangs = MockCollector::new(move |call| {
        held.pass();
        Ok(Hardware(call))
    });
    let begun = hangs.calls();
    let bus = builder()
        .collector(hangs)
        .collector(steady())
        .build()
        .unwrap();
    // The hanging one comes first on the thread that both share.
    let mut works = bus.subscribe::<Steady>(every(secs(1))).unwrap();
    let _hangs = bus.subscribe::<Hardware>(every(secs(1))).unwrap();
    while begun.count() == 0 {
        tokio::task::yield_now().await;
    }
    // Without another thread, nothing but the gate would let it go on.
    for _ in 0..20 {
        assert!(works_at(&mut works).await.data.is_some());
    }
}

/// The next sample. The clock is moved on for it, since it stands still while
/// a collection is under way.
async fn works_at(subscription: &mut Subscription<Steady>) -> Sample<Steady> {
    let patience = Instant::now() + secs(60);
    while Instant::now() < patience {
        tokio::select! {
            biased;
            sample = subscription.recv() => return sample.unwrap(),
            () = tokio::task::yield_now() => tokio::time::advance(millis(1)).await,
        }
    }
    panic!("there was no sample in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_what_hangs() {
    let gate = Gate::shut();
    let _opens = OpensAtEnd(gate.clone());
    let held = gate.clone();
    let hangs = MockCollector::new(move |call| {
        held.pass();
        Ok(Quick(call))
    });
    let bus = builder()
        .collector(hangs.deadline(secs(1)))
        .build()
        .unwrap();
    let mut one = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    // The thread that collects may begin late on a busy host.
    while bus.status().metrics[0].health != Health::Hung {
        pass_while_blocked(secs(2)).await;
    }
    bus.shutdown().await;
    assert!(matches!(
        one.recv().await.unwrap().status,
        Status::Unavailable { .. }
    ));
    assert!(one.recv().await.is_err());
    gate.open();
}

/// Moves the clock on although a collection is under way.
async fn pass_while_blocked(duration: std::time::Duration) {
    for _ in 0..duration.as_millis() {
        tokio::task::yield_now().await;
        tokio::time::advance(millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_keeps_the_last_good_reading_and_marks_it_stale() {
    let breaks = MockCollector::new(|call| {
        if call == 1 {
            Ok(Quick(call))
        } else {
            Err(CollectError::failed("unplugged"))
        }
    });
    let bus = builder()
        .collector(breaks)
        .collector(steady())
        .build()
        .unwrap();
    let request = SnapshotRequest::default();
    bus.snapshot(request.clone()).await.unwrap();
    pass(secs(3)).await;
    let snapshot = bus.snapshot(request).await.unwrap();
    let sample = snapshot.metrics["quick"].downcast::<Quick>().unwrap();
    assert_eq!(
        sample.status,
        Status::Stale {
            age: secs(3),
            reason: "unplugged".into()
        }
    );
    assert_eq!(sample.data.as_deref(), Some(&Quick(1)));
    assert_eq!(snapshot.metrics["steady"].status, Status::Ok);
}

#[tokio::test(start_paused = true)]
async fn the_floor_holds_also_for_failures() {
    let broken = MockCollector::<Quick>::new(|_| Err(CollectError::failed("broken")));
    let calls = broken.calls();
    let bus = builder().collector(broken.floor(secs(2))).build().unwrap();
    for _ in 0..5 {
        let now = SnapshotRequest {
            max_age: Some(millis(0)),
            ..SnapshotRequest::default()
        };
        bus.snapshot(now).await.unwrap();
        pass(millis(700)).await;
    }
    assert_eq!(calls.count(), 2);
}
