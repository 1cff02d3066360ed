use std::time::{Duration, SystemTime};

use super::*;
use crate::metric::{
    CpuStats, Kind, LoadAvg, Missed, Origin, Reason, Sample, Status, Tier, UntypedReading,
};

fn load(sequence: u64) -> Sample<LoadAvg> {
    Sample {
        sequence,
        ..Sample::new(LoadAvg::default(), SystemTime::now(), sequence)
    }
}

#[tokio::test]
async fn a_channel_keeps_what_the_sender_says_of_a_sample() {
    let (sender, mut loads) = Subscription::channel(SubscribeOptions::default()).unwrap();
    let origin = std::sync::Arc::new(Origin::new("other", None, Some("boot".into())));
    let sent = Sample {
        origin: origin.clone(),
        window: Duration::from_millis(2),
        missed: Missed::at_source(3),
        ..load(7)
    };
    sender.send(sent.clone()).unwrap();
    let received = loads.recv().await.unwrap();
    assert_eq!(received.origin, origin);
    assert_eq!(received.sequence, 7);
    assert_eq!(received.taken_at, sent.taken_at);
    assert_eq!(received.window, sent.window);
    assert_eq!(received.missed, Missed::at_source(3));
    assert!(loads.try_recv().unwrap().is_none());
}

#[tokio::test]
async fn the_oldest_of_a_full_queue_goes_and_is_counted() {
    let options = SubscribeOptions::default().queue(2);
    let (sender, mut loads) = Subscription::channel(options).unwrap();
    for sequence in 1..=5 {
        sender.send(load(sequence)).unwrap();
    }
    let first = loads.recv().await.unwrap();
    assert_eq!(
        (first.sequence, first.missed),
        (4, Missed::by_subscriber(3))
    );
    assert_eq!(loads.recv().await.unwrap().sequence, 5);
    assert!(loads.try_recv().unwrap().is_none());
}

#[tokio::test]
async fn the_bytes_of_a_queue_are_bounded_and_the_newest_always_fits() {
    let metric = Metric::named("gpu_stats", Tier::Fast, Kind::Event, "");
    let options = SubscribeOptions::default()
        .queue(100)
        .max_queue_bytes(2_500);
    let (sender, mut gpus) = AnySubscription::channel(metric.clone(), options).unwrap();
    let sample = |length: usize| {
        let reading = UntypedReading {
            metric: metric.clone(),
            value: "x".repeat(length).into(),
        };
        Sample {
            data: Some(std::sync::Arc::new(reading) as _),
            ..Sample::empty(metric.clone(), SystemTime::now(), 1)
        }
    };
    for length in [1_000, 1_000, 1_000, 5_000] {
        sender.send(sample(length)).unwrap();
    }
    let only = gpus.recv().await.unwrap();
    assert_eq!(only.missed, Missed::by_subscriber(3));
    assert!(gpus.try_recv().unwrap().is_none());
}

#[tokio::test]
async fn what_was_lost_is_told_without_a_sample_and_at_the_end() {
    let (sender, mut loads) = Subscription::channel(SubscribeOptions::default()).unwrap();
    sender.send(load(4)).unwrap();
    loads.recv().await.unwrap();
    sender.lost(Missed::at_source(2));
    let gap = loads.recv().await.unwrap();
    assert_eq!((gap.sequence, gap.missed), (4, Missed::at_source(2)));
    assert!(gap.data.is_none() && gap.status == Status::Ok);

    sender.lost(Missed::skipped(1));
    sender.end(Ended::Remote("it was told to".into()));
    assert_eq!(loads.recv().await.unwrap().missed, Missed::skipped(1));
    let end = loads.recv().await.unwrap_err();
    assert_eq!(
        end.to_string(),
        "the remote feed ended the subscription: it was told to"
    );
    assert_eq!(loads.ended(), Some(&Ended::Remote("it was told to".into())));
}

#[tokio::test]
async fn a_sender_learns_that_the_subscription_was_dropped() {
    let (sender, loads) = Subscription::channel(SubscribeOptions::default()).unwrap();
    assert!(!sender.is_unsubscribed());
    let waiting = tokio::spawn(async move {
        sender.unsubscribed().await;
        sender
    });
    tokio::task::yield_now().await;
    drop(loads);
    let sender = waiting.await.unwrap();
    assert!(sender.is_unsubscribed());
    assert_eq!(sender.send(load(1)), Err(SendError::Unsubscribed));
}

#[tokio::test]
async fn a_sample_of_another_metric_is_not_sent() {
    let (sender, _loads) =
        AnySubscription::channel(Metric::of::<LoadAvg>(), SubscribeOptions::default()).unwrap();
    let sample = Sample::new(CpuStats::default(), SystemTime::now(), 1);
    let error = sender.send(sample.into_any()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a sample of cpu_stats cannot be sent to a subscription to load_avg"
    );
}

#[test]
fn a_channel_checks_its_options_as_a_bus_does() {
    let channel = |options| Subscription::<LoadAvg>::channel(options).map(drop);
    let day = Duration::from_hours(24);
    assert_eq!(channel(every(day)), Ok(()));
    assert_eq!(
        channel(every(2 * day)),
        Err(SubscribeError::BadInterval(2 * day))
    );
    let empty = SubscribeOptions::default().queue(0);
    assert_eq!(channel(empty), Err(SubscribeError::EmptyQueue));
}

#[test]
fn a_subscription_has_the_type_of_its_metric_only() {
    let channel = || Subscription::<LoadAvg>::channel(every(Duration::from_secs(3))).unwrap();
    let untyped = channel().1.into_any();
    assert_eq!(untyped.interval(), Duration::from_secs(3));
    assert!(untyped.into_typed::<LoadAvg>().is_ok());
    let error = channel().1.into_any().into_typed::<CpuStats>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "a subscription to load_avg is not one to cpu_stats"
    );
}

#[test]
fn a_snapshot_comes_back_from_each_format() {
    let mut snapshot = Snapshot::new("host", SystemTime::UNIX_EPOCH + Duration::from_nanos(7));
    let failed = Sample {
        status: Status::Unavailable {
            reason: Reason::NoPermission("no".into()),
            since: SystemTime::UNIX_EPOCH,
        },
        ..Sample::empty(Metric::of::<CpuStats>(), SystemTime::UNIX_EPOCH, 1)
    };
    for sample in [load(1).into_any(), failed] {
        snapshot.metrics.insert(sample.metric.clone(), sample);
    }
    let json = serde_json::to_string(&snapshot).unwrap();
    let from_json: Snapshot = serde_json::from_str(&json).unwrap();
    let bytes = postcard::to_allocvec(&snapshot).unwrap();
    let from_binary: Snapshot = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(format!("{from_json:?}"), format!("{snapshot:?}"));
    assert_eq!(format!("{from_binary:?}"), format!("{snapshot:?}"));
    for ended in [
        Ended::ShutDown,
        Ended::Remote("x".into()),
        Ended::EndOfRecording,
    ] {
        let json = serde_json::to_string(&ended).unwrap();
        assert_eq!(serde_json::from_str::<Ended>(&json).unwrap(), ended);
        let bytes = postcard::to_allocvec(&ended).unwrap();
        assert_eq!(postcard::from_bytes::<Ended>(&bytes).unwrap(), ended);
    }
}
