use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use serde::de::DeserializeSeed as _;

use super::*;
use crate::metric::{
    Backend, CpuStats, CpuTimes, Kind, MemoryStats, Metric, MetricInfo, Missed, Origin, Reason,
    Status, Tier, UntypedReading,
};

fn reasons() -> impl Strategy<Value = Reason> {
    let text = || "[a-z: \"]{0,12}".prop_map(Arc::<str>::from);
    let deadline = || any::<u32>().prop_map(|ms| Duration::from_millis(ms.into()));
    prop_oneof![
        text().prop_map(Reason::Failed),
        text().prop_map(Reason::Panicked),
        deadline().prop_map(Reason::Hung),
        deadline().prop_map(Reason::NotStarted),
        text().prop_map(Reason::NoPermission),
        text().prop_map(Reason::Unsupported),
        Just(Reason::NotCollected),
        Just(Reason::NotPublished),
    ]
}

fn times() -> impl Strategy<Value = SystemTime> {
    (0..250_000_000_000_u64, 0..1_000_000_000_u32)
        // Nanoseconds since 1970 fit 64 bits until 2554.
        .prop_map(|(s, ns)| SystemTime::UNIX_EPOCH + Duration::new(s % 18_000_000_000, ns))
}

fn statuses() -> impl Strategy<Value = Status> {
    let ages = any::<u64>().prop_map(Duration::from_nanos);
    prop_oneof![
        Just(Status::Ok),
        (ages, reasons()).prop_map(|(age, reason)| Status::Stale { age, reason }),
        (times(), reasons()).prop_map(|(since, reason)| Status::Unavailable { reason, since }),
    ]
}

fn origins() -> impl Strategy<Value = Origin> {
    let id = || proptest::option::of("[0-9a-f]{32}".prop_map(Arc::<str>::from));
    ("[a-z.]{0,20}", id(), id(), any::<u32>()).prop_map(|(host, machine, boot, schema)| Origin {
        schema_version: schema,
        ..Origin::new(host, machine, boot)
    })
}

/// Samples of a metric, with what `reading` makes for data.
fn samples<R: Reading>(reading: impl Strategy<Value = R>) -> impl Strategy<Value = Sample<R>> {
    let backends = proptest::option::of("[a-z]{1,15}".prop_map(|name| Backend::named(&name)));
    let rest = (
        proptest::option::of(reading),
        origins(),
        backends,
        statuses(),
        times(),
        any::<[u64; 3]>(),
        any::<[u32; 3]>(),
    );
    rest.prop_map(|(data, origin, backend, status, taken_at, numbers, lost)| {
        let [monotonic_ns, window_ns, sequence] = numbers;
        let mut missed = Missed::by_subscriber(lost[0].into());
        missed += Missed::at_source(lost[1].into());
        missed += Missed::skipped(lost[2].into());
        Sample {
            origin: Arc::new(origin),
            backend,
            status,
            window: Duration::from_nanos(window_ns),
            sequence,
            missed,
            data: data.map(Arc::new),
            ..Sample::empty(Metric::of::<R>(), taken_at, monotonic_ns)
        }
    })
}

fn memory() -> impl Strategy<Value = MemoryStats> {
    any::<(u64, Option<u64>)>().prop_map(|(total_bytes, free_bytes)| MemoryStats {
        total_bytes,
        free_bytes,
        ..MemoryStats::default()
    })
}

fn cpus() -> impl Strategy<Value = CpuStats> {
    let cpu = any::<(Option<u32>, Option<u64>)>().prop_map(|(cpu, user_ns)| CpuTimes {
        cpu,
        user_ns,
        ..CpuTimes::default()
    });
    proptest::collection::vec(cpu, 0..4).prop_map(|cpus| CpuStats {
        cpus,
        ..CpuStats::default()
    })
}

/// What a value says of itself; samples share much, and have no equality.
fn shown(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

fn check<R: Reading>(sample: &Sample<R>) -> Result<(), TestCaseError> {
    let any = sample.clone().into_any();
    let json = serde_json::to_string(sample).unwrap();
    prop_assert_eq!(&json, &serde_json::to_string(&any).unwrap());
    let typed: Sample<R> = serde_json::from_str(&json).unwrap();
    prop_assert_eq!(shown(&typed), shown(sample));
    let untyped: AnySample = serde_json::from_str(&json).unwrap();
    prop_assert_eq!(shown(&untyped.downcast::<R>().unwrap()), shown(sample));

    let bytes = postcard::to_allocvec(sample).unwrap();
    prop_assert_eq!(&bytes, &postcard::to_allocvec(&any).unwrap());
    let typed: Sample<R> = postcard::from_bytes(&bytes).unwrap();
    prop_assert_eq!(shown(&typed), shown(sample));
    let untyped: AnySample = postcard::from_bytes(&bytes).unwrap();
    prop_assert_eq!(shown(&untyped.downcast::<R>().unwrap()), shown(sample));
    Ok(())
}

proptest! {
    #[test]
    fn a_sample_comes_back_from_each_format(
        memory in samples(memory()),
        cpus in samples(cpus()),
    ) {
        check(&memory)?;
        check(&cpus)?;
    }

    #[test]
    fn a_status_comes_back_from_each_format(status in statuses()) {
        let json = serde_json::to_string(&status).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Status>(&json).unwrap(), &status);
        let bytes = postcard::to_allocvec(&status).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<Status>(&bytes).unwrap(), &status);
    }
}

/// A metric that the catalogue does not have.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Sessions {
    open: u64,
}

impl Reading for Sessions {
    const METRIC: MetricInfo = MetricInfo {
        name: "sessions",
        tier: Tier::System,
        kind: Kind::State,
        help: "Open sessions",
    };

    fn heap_bytes(&self) -> usize {
        0
    }
}

#[test]
fn a_metric_that_this_build_does_not_know_is_untyped_in_json_and_an_error_in_binary() {
    let sample = Sample::new(Sessions { open: 7 }, SystemTime::now(), 1);
    let json = serde_json::to_string(&sample).unwrap();
    let untyped: AnySample = serde_json::from_str(&json).unwrap();
    assert_eq!(untyped.metric.name(), "sessions");
    assert_eq!(untyped.metric.info(), None);
    let data: Arc<dyn std::any::Any + Send + Sync> = untyped.data.clone().unwrap();
    let reading = data.downcast::<UntypedReading>().unwrap();
    assert_eq!(reading.value, serde_json::json!({ "open": 7 }));
    // It can be passed on, and be typed where the type is known.
    assert_eq!(serde_json::to_string(&untyped).unwrap(), json);
    let typed = untyped.downcast::<Sessions>().unwrap();
    assert_eq!(*typed.data.unwrap(), Sessions { open: 7 });
    let error = postcard::to_allocvec(&untyped).unwrap_err();
    assert_eq!(error, postcard::Error::SerdeSerCustom);

    let bytes = postcard::to_allocvec(&sample).unwrap();
    let error = postcard::from_bytes::<AnySample>(&bytes).unwrap_err();
    assert_eq!(error, postcard::Error::SerdeDeCustom);
    let decoders = Decoders::catalog().with::<Sessions>();
    let mut deserializer = postcard::Deserializer::from_bytes(&bytes);
    let known = decoders.deserialize(&mut deserializer).unwrap();
    assert_eq!(known.metric.info(), Some(&Sessions::METRIC));
    assert!(known.downcast::<Sessions>().is_some());
}

#[test]
fn a_sample_of_another_metric_is_an_error() {
    let metric = Metric::of::<MemoryStats>();
    let sample = AnySample::empty(metric, SystemTime::now(), 1);
    let json = serde_json::to_string(&sample).unwrap();
    let error = serde_json::from_str::<Sample<CpuStats>>(&json).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("a sample of memory_stats is not one of cpu_stats"),
        "{text}"
    );
}

#[test]
fn the_keys_of_a_sample_stand_in_their_order() {
    let sample = Sample {
        status: Status::Unavailable {
            reason: Reason::Hung(Duration::from_secs(5)),
            since: SystemTime::UNIX_EPOCH,
        },
        ..Sample::<MemoryStats>::empty(Metric::of::<MemoryStats>(), SystemTime::UNIX_EPOCH, 7)
    };
    assert_eq!(
        serde_json::to_string(&sample).unwrap(),
        concat!(
            r#"{"metric":"memory_stats","tier":2,"kind":"state","backend":null,"#,
            r#""status":"unavailable","reason":"the collection has not ended after 5s","#,
            r#""reason_kind":"hung","deadline_ns":5000000000,"#,
            r#""since":"1970-01-01T00:00:00.000000000Z","#,
            r#""taken_at":"1970-01-01T00:00:00.000000000Z","monotonic_ns":7,"window_ns":0,"#,
            r#""sequence":1,"missed":0,"missed_by":{"subscriber":0,"source":0,"skipped":0},"#,
            r#""origin":{"host":"unknown","machine_id":null,"boot_id":null,"instance":"","#,
            r#""schema_version":1},"data":null}"#
        )
    );
}
