//! The test is the second process, and starts itself as the first.

use collector::{
    feed::{Ended, RecvError, SubscribeError, Subscription},
    metric::CpuStats,
};

use super::*;

const SOCKET: &str = "COLLECTOR_EXAMPLE_SOCKET";

/// Not a test of its own: the first process, if the test below started it.
#[tokio::test]
async fn first_process() {
    if let Some(socket) = env::var_os(SOCKET) {
        serve(Path::new(&socket)).await.expect("it serves");
    }
}

fn start(socket: &Path) -> Server {
    let program = env::current_exe().expect("this program has a path");
    let child = Command::new(program)
        .args(["--exact", "tests::first_process"])
        .env(SOCKET, socket)
        .spawn();
    Server(child.expect("this program can be started"))
}

#[tokio::test]
async fn a_second_process_has_the_same_subscriptions() {
    let directory = tempfile::tempdir().expect("there is a place for a socket");
    let socket = directory.path().join("feed.sock");
    let server = start(&socket);
    let feed = connect(&socket).await.expect("it connects");

    let mut loads: Subscription<LoadAvg> = feed
        .subscribe(every(Duration::from_millis(100)))
        .expect("the load is on the bus");
    let first = loads.recv().await.expect("the first sample");
    let second = loads.recv().await.expect("the second sample");
    assert!(first.data.is_some() && second.data.is_some());
    assert!(second.continues(&first) && second.sequence > first.sequence);
    assert!(second.since(&first).is_some());

    // What this process does not declare is untyped, and can be typed later.
    let mut sessions = feed
        .subscribe_any("sessions", every(Duration::from_millis(100)))
        .expect("sessions are on the bus");
    let sample = sessions.recv().await.expect("a sample");
    assert_eq!(sample.metric.info(), None);
    assert_eq!(sample.backend, Some(Backend::named("forward")));
    assert!(format!("{:?}", sample.data).contains("UntypedReading"));
    let typed = sample.downcast::<Sessions>().expect("it can be decoded");
    assert!(typed.data.is_some_and(|sessions| sessions.open > 0));

    let unknown = feed.subscribe::<CpuStats>(every(Duration::from_secs(1)));
    assert!(matches!(
        unknown.map(drop),
        Err(SubscribeError::UnknownMetric { .. })
    ));
    let snapshot = feed.snapshot(SnapshotRequest::of(["load_avg"])).await;
    let snapshot = snapshot.expect("a snapshot");
    assert!(snapshot.metrics["load_avg"].data.is_some());

    // The end of the first process is one of the subscription, with a reason.
    drop(server);
    let end = loop {
        if let Err(end) = loads.recv().await {
            break end;
        }
    };
    assert!(
        matches!(end, RecvError::Ended(Ended::Disconnected(_))),
        "{end}"
    );
}
