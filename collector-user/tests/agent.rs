//! The agent as embedded in another program.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and helpers outside of a test function are tests too"
)]

use std::{
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, Instant},
};

use collector::{
    agent::{Agent, BackendChoice},
    bus::{Ended, RecvError, SnapshotRequest, SubscribeOptions, Subscription, every},
    collectors::{CollectError, Collector},
    metric::{Kind, LoadAvg, MetricInfo, ProcessEvent, Reading, Sample, Status, Tier},
    source::Tick,
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures")
        .join(name)
}

/// A metric of the embedding program.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
struct Sessions(u64);

impl Reading for Sessions {
    const METRIC: MetricInfo = MetricInfo {
        name: "sessions",
        tier: Tier::System,
        kind: Kind::State,
        help: "Sessions of the embedding program.",
    };

    fn heap_bytes(&self) -> usize {
        0
    }
}

struct Gives<R>(R);

impl<R: Reading + Clone> Collector for Gives<R> {
    type Reading = R;

    fn sources(&self) -> &'static [&'static str] {
        &["memory"]
    }

    fn collect(&mut self, _tick: &Tick) -> Result<R, CollectError> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn an_agent_accepts_custom_collectors_also_in_place_of_its_own() {
    let agent = Agent::builder()
        .root(fixture("vm"))
        .collector(Gives(Sessions(3)))
        .collector(Gives(LoadAvg {
            load_1m: 42.0,
            ..LoadAvg::default()
        }))
        .pace("sessions", Duration::from_secs(2))
        .disable("cpu_info")
        .start()
        .unwrap();
    let rows = &agent.report().metrics;
    let own = rows.iter().find(|row| row.metric.name == "sessions");
    assert_eq!(own.unwrap().sources, ["memory"]);
    let snapshot = agent.bus().snapshot(SnapshotRequest::all()).await.unwrap();
    let load = snapshot.metrics["load_avg"].downcast::<LoadAvg>().unwrap();
    assert!((load.data.unwrap().load_1m - 42.0).abs() < f64::EPSILON);
    assert_eq!(snapshot.metrics["sessions"].status, Status::Ok);
    assert!(!snapshot.metrics.contains_key("cpu_info"));
    let sessions = agent
        .bus()
        .subscribe_any("sessions", SubscribeOptions::default());
    assert_eq!(sessions.unwrap().interval(), Duration::from_secs(2));
    agent.stop().await;
}

#[tokio::test]
async fn an_unknown_metric_can_neither_be_disabled_nor_given_an_interval() {
    let agent = || Agent::builder().root(fixture("vm"));
    for wrong in [
        agent().disable("disk_inf"),
        agent().pace("disk_inf", Duration::from_secs(1)),
    ] {
        let error = wrong.start().unwrap_err().to_string();
        assert!(error.contains("did you mean disk_info?"), "{error}");
    }
}

#[test]
fn without_a_runtime_an_agent_does_not_start() {
    let error = Agent::builder().root(fixture("vm")).start().unwrap_err();
    assert!(error.to_string().contains("no tokio runtime"), "{error}");
}

#[tokio::test]
async fn events_continue_if_the_agent_is_dropped_and_its_bus_lives() {
    let agent = Agent::builder()
        .backend(BackendChoice::Procfs)
        .start()
        .unwrap();
    let bus = agent.bus().clone();
    drop(agent);
    let mut events = bus
        .subscribe::<ProcessEvent>(SubscribeOptions::default().queue(100_000))
        .unwrap();
    // Only the subscription holds it now.
    drop(bus);
    // Processes that start before the first scan have no fork event.
    let mut children = Vec::new();
    let deadline = Instant::now() + Duration::from_mins(1);
    let told = loop {
        let sleeps = Command::new("sleep").arg("1000").spawn().unwrap();
        children.push(sleeps);
        if let Some(told) = next_event_of(&children, &mut events).await {
            break told;
        }
        assert!(Instant::now() < deadline, "no event in a minute");
    };
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(told.status, Status::Ok);
}

/// The next event of one of these processes within two seconds.
async fn next_event_of(
    children: &[Child],
    events: &mut Subscription<ProcessEvent>,
) -> Option<Sample<ProcessEvent>> {
    let is_of_child = |event: &ProcessEvent| {
        let pid = match event {
            ProcessEvent::Fork(event) => event.pid,
            ProcessEvent::Exec(event) => event.pid,
            ProcessEvent::Exit(event) => event.pid,
        };
        children.iter().any(|child| child.id() == pid)
    };
    let found = async {
        loop {
            let sample = events.recv().await.unwrap();
            if sample.data.as_deref().is_some_and(is_of_child) {
                return sample;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(2), found)
        .await
        .ok()
}

#[tokio::test]
async fn a_stop_ends_the_streams_with_a_reason() {
    let agent = Agent::builder().root(fixture("vm")).start().unwrap();
    let mut load = agent
        .bus()
        .subscribe::<LoadAvg>(every(Duration::from_secs(1)))
        .unwrap();
    load.recv().await.unwrap();
    agent.stop().await;
    let ended = loop {
        if let Err(error) = load.recv().await {
            break error;
        }
    };
    assert_eq!(ended, RecvError::Ended(Ended::ShutDown));
}
