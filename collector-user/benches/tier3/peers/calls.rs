//! The system calls of a process, counted by the kernel's own events.

use std::process::{Child, Command, Stdio};

use crate::tool;

const ALL: &str = "raw_syscalls:sys_enter";
const OPENS: [&str; 2] = ["syscalls:sys_enter_openat", "syscalls:sys_enter_open"];

/// Per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calls {
    pub(super) opens: f64,
    pub(super) all: f64,
}

pub(super) struct Counter {
    perf: Child,
    seconds: u32,
}

/// Counts for some seconds, if `perf` is installed.
pub(super) fn count(pid: u32, seconds: u32) -> Option<Counter> {
    let events = format!("{ALL},{}", OPENS.join(","));
    let perf = Command::new(tool::find("perf")?)
        .args(["stat", "-x", ",", "-e", &events, "-p", &pid.to_string()])
        .args(["--", "sleep", &seconds.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    Some(Counter { perf, seconds })
}

impl Counter {
    pub(super) fn finish(self) -> Option<Calls> {
        let seconds = f64::from(self.seconds);
        let output = self.perf.wait_with_output().ok()?;
        let text = String::from_utf8_lossy(&output.stderr);
        // Lines like `1234,,raw_syscalls:sys_enter,…`.
        let of = |event: &str| -> Option<f64> {
            let line = text
                .lines()
                .find(|line| line.split(',').nth(2).is_some_and(|name| name == event))?;
            let count = line.split(',').next()?;
            // An event that did not occur is shown as not counted.
            if count == "<not counted>" {
                return Some(0.0);
            }
            count.parse().ok()
        };
        let opens: f64 = OPENS.into_iter().filter_map(of).sum();
        Some(Calls {
            opens: opens / seconds,
            all: of(ALL)? / seconds,
        })
    }
}
