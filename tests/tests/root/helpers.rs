//! What other tests run as child processes: see `collector_tests::helper`.

use std::{process::Command, thread};

use collector::{
    agent::Agent, bus::SnapshotRequest, collectors::ebpf::Accountant, source::bpf::LoadOptions,
};
use collector_tests::burn_cpu_ms;

use crate::support::runtime;

/// Burns 300 ms of CPU.
#[test]
#[ignore = "run by other tests as a child process"]
fn burn() {
    burn_cpu_ms(300);
}

/// Burns CPU until it is killed.
#[test]
#[ignore = "run by other tests as a child process"]
fn burn_for_ever() {
    burn_cpu_ms(u64::MAX / 2);
}

/// Uses 100 ms of CPU in each of four threads, one after the other, so that the time of
/// exited threads counts, too.
#[test]
#[ignore = "run by other tests as a child process"]
fn burn_in_threads() {
    for _ in 0..4 {
        thread::spawn(|| burn_cpu_ms(100))
            .join()
            .expect("the thread does not panic");
    }
}

/// In a new PID namespace the programs cannot be loaded, and the error says so.
#[test]
#[ignore = "run by other tests as a child process"]
fn load_in_a_pid_namespace() {
    let program = std::env::current_exe().expect("the path is known");
    // SAFETY: the call takes no pointer; it is the children of this process
    // that will be in the new namespace.
    let made = unsafe { libc::unshare(libc::CLONE_NEWPID) };
    assert_eq!(made, 0, "root may make one");
    let status = Command::new(program)
        .args([
            "--exact",
            "helpers::loading_fails_here",
            "--ignored",
            "--test-threads=1",
        ])
        .status()
        .expect("it starts");
    assert!(status.success(), "{status:?}");
}

/// See [`load_in_a_pid_namespace`].
#[test]
#[ignore = "run by other tests as a child process"]
fn loading_fails_here() {
    let error = Accountant::load(&LoadOptions::default());
    let error = error.expect_err("the numbers of processes would be wrong");
    assert!(error.to_string().contains("PID namespace"), "{error}");
}

/// Another program, called from a thread that is not the leading one: that
/// thread takes over the number of the process.
#[test]
#[ignore = "run by other tests as a child process"]
fn exec_from_a_thread() {
    use std::os::unix::process::CommandExt as _;
    burn_cpu_ms(50);
    thread::spawn(|| {
        burn_cpu_ms(50);
        let program = std::env::current_exe().expect("the path is known");
        let error = Command::new(program)
            .args(["--exact", "helpers::burn", "--ignored", "--test-threads=1"])
            .exec();
        panic!("{error}");
    })
    .join()
    .expect("the thread does not return");
}

/// Burns 30 ms of CPU in each of six threads: three that end, and three that
/// stay, one of them the first.
#[test]
#[ignore = "run by other tests as a child process"]
fn threads_that_end_and_threads_that_stay() {
    for _ in 0..3 {
        thread::spawn(|| burn_cpu_ms(30))
            .join()
            .expect("the thread does not panic");
    }
    let stay = || {
        burn_cpu_ms(30);
        loop {
            thread::park();
        }
    };
    for _ in 0..2 {
        thread::spawn(stay);
    }
    stay();
}

/// Holds its own `mmap_lock`: see `collector_tests::HeldMemory`.
#[test]
#[ignore = "run by other tests as a child process"]
fn hold_memory() {
    collector_tests::hold_memory().expect("the page can be mapped");
}

/// An agent that has collected everything once, and was stopped.
#[test]
#[ignore = "run by other tests as a child process"]
fn collect_once_and_stop() {
    let runtime = runtime();
    runtime.block_on(async {
        let agent = Agent::builder().start().expect("it starts");
        let request = SnapshotRequest::default();
        agent.bus().snapshot(request).await.expect("it is known");
        agent.stop().await;
    });
    runtime.shutdown_background();
}
