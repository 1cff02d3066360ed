//! The agent where it may not make all the threads that it wants.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use collector_tests::agent;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

/// A user without other processes: `RLIMIT_NPROC` counts all processes of a user.
const USER: u32 = 54_321;

/// The samples of the agent, if its user is limited to this number of threads.
fn samples_with_threads(program: &Path, threads: u64) -> Vec<Value> {
    let before = getrlimit(Resource::Nproc);
    let limit = Rlimit {
        current: Some(threads),
        ..before
    };
    // The limit holds for no process of root's, and the child takes it along.
    setrlimit(Resource::Nproc, limit).expect("it is below the hard limit");
    let mut child = Command::new(program)
        .args(["watch", "load_avg", "--backend", "procfs"])
        .args(["--count", "2", "--interval", "200ms", "--format", "json"])
        .uid(USER)
        .gid(USER)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    setrlimit(Resource::Nproc, before).expect("it was so before");
    for _ in 0..600 {
        if child.try_wait().expect("it is a child").is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    if child.try_wait().expect("it is a child").is_none() {
        child.kill().expect("it runs");
        panic!("with {threads} threads it has not ended after a minute");
    }
    let output = child.wait_with_output().expect("it has ended");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{threads} threads: {errors}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is a sample"))
        .collect()
}

#[test]
fn a_failed_thread_creation_fails_only_the_collection() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let program = folder.path().join("collector");
    let built = agent().expect("it was built");
    fs::copy(built.get_program(), &program).expect("there is room");

    let alone = samples_with_threads(&program, 1);
    assert_eq!(alone.len(), 2, "{alone:?}");
    for sample in alone {
        assert_eq!(sample["status"], "unavailable", "{sample}");
        let reason = sample["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("cannot make a thread"), "{sample}");
    }
    let enough = samples_with_threads(&program, 20);
    assert_eq!(enough.len(), 2, "{enough:?}");
    assert!(enough.iter().all(|sample| sample["status"] == "ok"));
}
