use std::{
    fs::{File, OpenOptions},
    io::{PipeReader, PipeWriter, Write as _, pipe},
    process::Command,
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::Signal,
};

use super::support::{Agent, collector, value};

const LOST: &str = "collector_log_lines_lost_total";

/// The agent collects, counts lost log lines, and stops on SIGTERM.
fn lives_without_a_log(mut agent: Agent) {
    agent.get_until("/readyz", |answer| answer.starts_with("HTTP/1.1 200"));
    let metrics = agent.get_until("/metrics", |answer| {
        value(answer, LOST).is_some_and(|lost| lost > 0.0)
    });
    assert!(
        metrics.contains("\nhost_memory_free_bytes 524288\n"),
        "{metrics}"
    );
    assert!(metrics.contains("collector_metric_up{metric=\"load_avg\",backend=\"procfs\"} 1"));
    assert_eq!(agent.stop().code(), Some(0));
}

#[test]
fn a_full_disk_under_the_log_does_not_end_the_agent() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    lives_without_a_log(Agent::with_stderr(full));
}

#[test]
fn a_closed_pipe_under_the_log_does_not_end_the_agent() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    lives_without_a_log(Agent::with_stderr(writer));
}

#[test]
fn a_file_size_limit_under_the_log_does_not_end_the_agent() {
    let agent = Agent::start("", |config, root| {
        let mut command = Command::new("sh");
        let log = format!("{root}/log");
        File::create(&log).unwrap();
        command
            .args(["-c", "ulimit -f 0; exec \"$@\" 2>>\"$0\"", &log])
            .arg(env!("CARGO_BIN_EXE_collector"))
            .args(["run", "--config", config, "--root", root])
            .env_remove("COLLECTOR_LOG");
        command
    });
    lives_without_a_log(agent);
}

/// A full pipe.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    for piece in [&[b'x'; 4096][..], b"x"] {
        while writer.write(piece).is_ok() {}
    }
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

#[test]
fn a_full_pipe_under_the_log_delays_neither_collection_nor_exit() {
    let (reader, writer) = full_pipe();
    let mut agent = Agent::with_stderr(writer);
    agent.get_until("/readyz", |answer| answer.starts_with("HTTP/1.1 200"));
    assert_eq!(agent.stop().code(), Some(0));
    drop(reader);
}

#[test]
fn a_full_pipe_under_standard_output_does_not_delay_the_start() {
    let (reader, writer) = full_pipe();
    let tree = super::support::tree();
    let config = tree.path().join("collector.toml");
    std::fs::write(&config, "prometheus.listen = \"127.0.0.1:0\"").unwrap();
    let mut process = super::support::Process(
        collector(&["run", "--root"])
            .arg(tree.path())
            .arg("--config")
            .arg(&config)
            .stdout(writer)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let stderr = process.0.stderr.take().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(stderr));
    let mut lines = lines.map(Result::unwrap);
    assert!(lines.any(|line| line.contains("serving Prometheus")));
    process.signal(Signal::TERM);
    assert_eq!(process.ended().code(), Some(0));
    drop(reader);
}

#[test]
fn help_that_cannot_be_written_is_an_error() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    for args in [
        &["--help"][..],
        &["config", "show", "--config", "/dev/null"],
    ] {
        let output = collector(args).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("cannot write the output"), "{stderr}");
    }
}
