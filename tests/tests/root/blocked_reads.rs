//! Processes that hold their own `mmap_lock`, so that reads of their command line block
//! until they release it. That needs no privileges.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use collector::{
    agent::{Agent, BackendChoice},
    bus::{SnapshotRequest, every},
    metric::{ProcessStats, Status},
};
use collector_tests::{Child, HeldMemory, helper};

use crate::support::runtime;

/// One that holds it, or nothing where the kernel has no FUSE.
fn held_memory() -> Option<HeldMemory> {
    let held = HeldMemory::start("helpers::hold_memory").expect("it can be started");
    if held.is_none() {
        eprintln!("\n*** SKIPPED: no process of this kernel can hold its memory by FUSE ***\n");
    }
    held
}

fn sleeper() -> Child {
    Child::spawn(Command::new("sleep").arg("600.25")).expect("it starts")
}

#[test]
fn a_process_that_blocks_reads_hides_only_its_own_command_line_from_the_ebpf_backend() {
    only_its_command_line_is_missing(BackendChoice::Ebpf);
}

#[test]
fn a_process_that_blocks_reads_hides_only_its_own_command_line_from_the_procfs_backend() {
    only_its_command_line_is_missing(BackendChoice::Procfs);
}

fn only_its_command_line_is_missing(backend: BackendChoice) {
    let Some(held) = held_memory() else { return };
    let other = sleeper();
    let runtime = runtime();
    let (blocked, pid) = (held.pid(), other.pid());
    runtime.block_on(async {
        let agent = Agent::builder().backend(backend).start();
        let agent = agent.expect("it starts");
        let options = every(Duration::from_secs(1));
        let mut stats = agent
            .bus()
            .subscribe::<ProcessStats>(options)
            .expect("it is known");
        // Samples until the other command line has been read, and two more: the blocked
        // read is not repeated.
        let mut more = 2;
        let deadline = Instant::now() + Duration::from_mins(1);
        while more > 0 {
            assert!(Instant::now() < deadline, "the other has no command line");
            let sample = stats.recv().await.expect("it goes on");
            assert_eq!(sample.status, Status::Ok);
            let stats = sample.data.expect("there is a reading");
            let row = |pid| stats.processes.get(pid).expect("it is shown").clone();
            let row_of_blocked = row(blocked);
            assert_eq!(row_of_blocked.cmdline, None);
            assert!(row_of_blocked.cpu_ns.is_some());
            if row(pid).cmdline.as_deref() == Some("sleep 600.25") {
                more -= 1;
                // Files that it cannot block are read.
                assert!(more > 0 || row_of_blocked.cgroup.is_some());
            }
        }
        let metrics = ["cpu_stats", "sched_latency"].map(str::to_owned);
        for name in metrics {
            if backend == BackendChoice::Procfs && name == "sched_latency" {
                continue;
            }
            let request = SnapshotRequest {
                metrics: Some(vec![name.clone()]),
                ..SnapshotRequest::default()
            };
            let snapshot = agent.bus().snapshot(request).await.expect("it is known");
            let sample = &snapshot.metrics[name.as_str()];
            assert_eq!(sample.status, Status::Ok, "{name}");
        }
        // On a busy host others may seem blocked for a moment.
        assert!(agent.bus().status().blocked_reads >= 1);
        agent.stop().await;
    });
    runtime.shutdown_background();
}

#[test]
fn an_agent_exits_while_a_process_blocks_its_reads() {
    let Some(_held) = held_memory() else { return };
    let mut agent = helper("helpers::collect_once_and_stop").expect("this binary is known");
    let mut agent = agent
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let deadline = Instant::now() + Duration::from_mins(2);
    let status = loop {
        if let Some(status) = agent.try_wait().expect("it is a child") {
            break status;
        }
        if Instant::now() > deadline {
            agent.kill().expect("it is a child");
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success(), "{status:?}");
}
