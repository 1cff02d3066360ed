//! An agent that is stopped and continued by signals.

use std::{
    io::{BufRead as _, BufReader},
    process::{ChildStdout, Stdio},
    time::{Duration, Instant},
};

use collector_tests::agent;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const STOPPED: Duration = Duration::from_secs(5);
const SECOND_NS: u64 = 1_000_000_000;

/// An agent that is killed when the test ends, however it ends: a stopped one
/// would stay for ever.
struct Watch {
    child: std::process::Child,
    lines: BufReader<ChildStdout>,
}

impl Watch {
    fn start() -> Self {
        let mut child = agent()
            .expect("the agent")
            .args(["watch", "load_avg", "--interval", "1s"])
            .args(["--format", "json", "--backend", "procfs"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdout = child.stdout.take().expect("it is piped");
        Self {
            child,
            lines: BufReader::new(stdout),
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    fn sample(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        let sample: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(sample["status"], "ok", "{sample}");
        sample
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number(sample: &Value, field: &str) -> u64 {
    let number = sample[field].as_u64();
    number.unwrap_or_else(|| panic!("{field} of {sample}"))
}

#[test]
fn a_stopped_agent_continues_without_a_burst() {
    let mut watch = Watch::start();
    let mut samples: Vec<Value> = (0..3).map(|_| watch.sample()).collect();
    watch.signal(Signal::STOP);
    std::thread::sleep(STOPPED);
    watch.signal(Signal::CONT);
    let continued = Instant::now();
    samples.extend((0..4).map(|_| watch.sample()));
    let took = continued.elapsed();

    // One is due at once, and three more take two seconds or more; a burst
    // takes no time.
    assert!(took > Duration::from_millis(1_500), "4 samples in {took:?}");
    let taken: Vec<u64> = samples
        .iter()
        .map(|sample| number(sample, "monotonic_ns"))
        .collect();
    let gaps: Vec<u64> = taken.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps.iter().any(|gap| *gap > 4 * SECOND_NS),
        "it was not stopped: {gaps:?}"
    );
    // The first tick after the gap may be that one that was missed, and the
    // next is aligned again: so the two may be closer than a second.
    let after = gaps.iter().skip_while(|gap| **gap < 4 * SECOND_NS);
    for gap in after.skip(2) {
        assert!((SECOND_NS / 2..SECOND_NS * 2).contains(gap), "{gaps:?}");
    }
    for pair in samples.windows(2) {
        assert_eq!(
            number(&pair[1], "sequence"),
            number(&pair[0], "sequence") + 1,
            "{pair:?}"
        );
        let at = |sample: &Value| sample["taken_at"].as_str().map(str::to_owned);
        assert!(at(&pair[0]) < at(&pair[1]), "{pair:?}");
    }
}
