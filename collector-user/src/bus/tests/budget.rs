use super::support::{Hardware, builder, millis, pass, secs};
use crate::{
    bus::{SnapshotRequest, every, testing::MockCollector},
    metric::{Process, ProcessStats},
};

fn processes(count: u32) -> MockCollector<ProcessStats> {
    MockCollector::new(move |_| {
        let processes = (1..=count)
            .map(|pid| Process {
                pid,
                comm: "worker".into(),
                cpu_ns: Some(u64::from(pid)),
                ..Process::default()
            })
            .collect();
        Ok(ProcessStats {
            processes,
            ..ProcessStats::default()
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_is_over_the_budget_is_cut_and_its_sums_stay_true() {
    let bus = builder()
        .cache_budget(100_000)
        .collector(processes(1_000))
        .collector(MockCollector::new(|call| Ok(Hardware(call))))
        .build()
        .unwrap();
    let mut one = bus.subscribe::<ProcessStats>(every(secs(1))).unwrap();
    let sample = one.recv().await.unwrap();
    let stats = sample.data.unwrap();
    let other = stats.other.clone().unwrap();
    assert!(stats.processes.len() > 100);
    assert_eq!(stats.processes.len() as u64 + other.processes, 1_000);
    let rows: u64 = stats.processes.iter().filter_map(|row| row.cpu_ns).sum();
    assert_eq!(rows + other.cpu_ns.unwrap(), 1_000 * 1_001 / 2);

    let snapshot = bus.snapshot(SnapshotRequest::default()).await.unwrap();
    assert!(snapshot.metrics["hardware"].data.is_some());
    pass(millis(2_500)).await;
    let status = bus.status();
    assert!(status.cache_bytes <= 100_000);
    assert!(status.cache_bytes > 90_000);
    assert_eq!(status.cache_cuts, 3);
}

#[tokio::test(start_paused = true)]
async fn a_reading_within_the_budget_is_left_whole() {
    let bus = builder().collector(processes(1_000)).build().unwrap();
    let mut one = bus.subscribe::<ProcessStats>(every(secs(1))).unwrap();
    let stats = one.recv().await.unwrap().data.unwrap();
    assert_eq!((stats.processes.len(), &stats.other), (1_000, &None));
    assert_eq!(bus.status().cache_cuts, 0);
}
