use std::{
    io::{Read as _, pipe},
    process::Stdio,
    time::Duration,
};

use rustix::process::Signal;

use super::support::{Process, collector, tree};

/// A process that hangs for ever: it writes to a pipe that nobody reads.
fn hanging(stderr: Stdio) -> (Process, std::io::PipeReader, tempfile::TempDir) {
    let tree = tree();
    let (reader, writer) = pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
    let args = [
        "watch",
        "process_stats",
        "--interval",
        "100ms",
        "--format",
        "json",
    ];
    let child = collector(&args)
        .arg("--root")
        .arg(tree.path())
        .stdout(writer)
        .stderr(stderr)
        .spawn();
    let process = Process(child.unwrap());
    // Until the pipe is full.
    let mut size = 0;
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = rustix::io::ioctl_fionread(&reader).unwrap();
        if now > 0 && now == size {
            return (process, reader, tree);
        }
        size = now;
    }
}

#[test]
fn a_process_that_hangs_is_terminated_some_seconds_after_the_signal() {
    let (mut process, reader, _tree) = hanging(Stdio::piped());
    process.signal(Signal::TERM);
    assert_eq!(process.ended().code(), Some(1));
    let mut stderr = String::new();
    let mut pipe = process.0.stderr.take().unwrap();
    pipe.read_to_string(&mut stderr).unwrap();
    assert!(stderr.contains("something hangs"), "{stderr}");
    drop(reader);
}

#[test]
fn a_second_signal_terminates_a_process_that_hangs_at_once() {
    let (mut process, reader, _tree) = hanging(Stdio::piped());
    process.signal(Signal::TERM);
    std::thread::sleep(Duration::from_secs(1));
    process.signal(Signal::INT);
    assert_eq!(process.ended().code(), Some(1));
    let mut stderr = String::new();
    let mut pipe = process.0.stderr.take().unwrap();
    pipe.read_to_string(&mut stderr).unwrap();
    // It did not wait for the deadline of a stop.
    assert!(!stderr.contains("hangs"), "{stderr}");
    drop(reader);
}
