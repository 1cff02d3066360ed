//! Producers that publish samples of other times, hosts and builds.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::support::{Happening, Quick, builder, secs, steady};
use crate::{
    bus::{BusStatus, SnapshotRequest, SubscribeOptions, every},
    feed::{Feed, SubscribeError},
    metric::{Backend, Kind, Metric, Missed, Origin, Reason, Sample, Status, Tier, UntypedReading},
};

fn recorded(sequence: u64) -> Sample<Quick> {
    Sample {
        origin: Arc::new(Origin::new("elsewhere", None, Some("boot".into()))),
        backend: Some(Backend::Ebpf),
        window: Duration::from_millis(3),
        sequence,
        missed: Missed::at_source(2),
        ..Sample::new(Quick(sequence), SystemTime::UNIX_EPOCH, 42)
    }
}

#[tokio::test(start_paused = true)]
async fn a_sample_that_is_published_keeps_its_times_origin_and_sequence() {
    let bus = builder()
        .producer::<Quick>(Backend::Procfs)
        .build()
        .unwrap();
    let mut all = bus.subscribe::<Quick>(SubscribeOptions::default()).unwrap();
    let mut rare = bus.subscribe::<Quick>(every(secs(60))).unwrap();
    let publisher = bus.publisher::<Quick>().unwrap();
    let sent = recorded(700);
    publisher.publish_sample(sent.clone());
    for subscription in [&mut all, &mut rare] {
        let sample = subscription.recv().await.unwrap();
        assert_eq!(*sample.data.unwrap(), Quick(700));
        assert_eq!(
            (sample.taken_at, sample.monotonic_ns),
            (SystemTime::UNIX_EPOCH, 42)
        );
        assert_eq!(sample.window, Duration::from_millis(3));
        assert_eq!(sample.backend, Some(Backend::Ebpf));
        assert_eq!(sample.origin, sent.origin);
        assert_eq!(
            (sample.sequence, sample.missed),
            (700, Missed::at_source(2))
        );
    }
    // What the second sample says was missed is told to who does not get it.
    publisher.publish_sample(recorded(701));
    assert_eq!(all.recv().await.unwrap().sequence, 701);
    let gap = rare.recv().await.unwrap();
    assert!(gap.data.is_none());
    assert_eq!((gap.sequence, gap.missed), (701, Missed::at_source(2)));
    // It is new to a snapshot, whose samples have missed nothing.
    let snapshot = bus.snapshot(SnapshotRequest::all()).await.unwrap();
    let sample = &snapshot.metrics["quick"];
    assert_eq!(
        (sample.status.clone(), sample.missed),
        (Status::Ok, Missed::NONE)
    );

    publisher.publish_sample(Sample {
        status: Status::Unavailable {
            reason: Reason::NotStarted(secs(5)),
            since: SystemTime::UNIX_EPOCH,
        },
        data: None,
        ..recorded(702)
    });
    let sample = all.recv().await.unwrap();
    assert_eq!(sample.status.reason(), Some(&Reason::NotStarted(secs(5))));
    let snapshot = bus.snapshot(SnapshotRequest::all()).await.unwrap();
    assert!(matches!(
        &snapshot.metrics["quick"].status,
        Status::Stale {
            reason: Reason::NotStarted(_),
            ..
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_metric_that_this_build_does_not_declare_is_published_untyped() {
    let gpus = Metric::named("gpu_stats", Tier::Fast, Kind::State, "GPUs");
    let bus = builder()
        .producer_any(gpus.clone(), Backend::named("vendor"))
        .collector(steady())
        .build()
        .unwrap();
    let mut samples = Feed::subscribe_any(&bus, "gpu_stats", SubscribeOptions::default()).unwrap();
    let publisher = bus.publisher_any("gpu_stats").unwrap();
    let reading = UntypedReading {
        metric: gpus,
        value: serde_json::json!({ "gpus": [] }),
    };
    publisher.publish(Arc::new(reading)).unwrap();
    let sample = samples.recv().await.unwrap();
    let json = serde_json::to_value(&sample).unwrap();
    assert_eq!(json["data"], serde_json::json!({ "gpus": [] }));
    assert_eq!(json["backend"], "vendor");

    let error = publisher.publish(Arc::new(Quick(1))).unwrap_err();
    assert_eq!(error.to_string(), "quick cannot be published as gpu_stats");
    let error = bus.publisher_any("steady").unwrap_err();
    assert_eq!(error, SubscribeError::NotPublished("steady".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn another_start_is_another_instance_and_the_host_the_same() {
    let sample = async || {
        let bus = builder()
            .producer::<Happening>(Backend::Ebpf)
            .build()
            .unwrap();
        let mut events = bus
            .subscribe::<Happening>(SubscribeOptions::default())
            .unwrap();
        bus.publisher().unwrap().publish(Happening(1));
        events.recv().await.unwrap()
    };
    let (first, second) = (sample().await, sample().await);
    assert_eq!((first.sequence, second.sequence), (1, 1));
    assert!(!second.continues(&first) && second.continues(&second));
    assert_eq!(&*first.origin.host, "test");
    assert_eq!(first.origin.boot_id, second.origin.boot_id);
}

#[tokio::test(start_paused = true)]
async fn the_status_comes_back_from_each_format() {
    let bus = builder()
        .producer::<Quick>(Backend::Ebpf)
        .collector(steady())
        .build()
        .unwrap();
    bus.publisher::<Quick>()
        .unwrap()
        .unavailable("no such host");
    bus.snapshot(SnapshotRequest::all()).await.unwrap();
    let status = bus.status();
    assert_eq!(status.metrics[1].failures_in_a_row, 1);
    let json = serde_json::to_string(&status).unwrap();
    let from_json: BusStatus = serde_json::from_str(&json).unwrap();
    let bytes = postcard::to_allocvec(&status).unwrap();
    let from_binary: BusStatus = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(format!("{from_json:?}"), format!("{status:?}"));
    assert_eq!(format!("{from_binary:?}"), format!("{status:?}"));
}
