use collector::metric::{ExecEvent, ExitEvent, ProcessEvent};

use super::format::{self, harmless};
use crate::cli::output::Size;

/// The header of the lines of [`event`].
pub(in crate::cli) const EVENTS_HEADER: &str =
    "TIME             KIND      PID    PPID  COMM             DETAILS";

/// An event as one line, cut at the width of the terminal.
pub(in crate::cli) fn event(event: &ProcessEvent, size: Size) -> String {
    let (time, kind, pid, ppid, comm, details) = match event {
        ProcessEvent::Fork(e) => (e.time, "fork", e.pid, e.ppid, &e.comm, String::new()),
        ProcessEvent::Exec(e) => (e.time, "exec", e.pid, e.ppid, &e.comm, exec(e)),
        ProcessEvent::Exit(e) => (e.time, "exit", e.pid, e.ppid, &e.comm, exit(e)),
    };
    // The time of day starts at the 12th character of RFC 3339.
    let time = humantime::format_rfc3339_micros(time).to_string();
    let time = time.get(11..26).unwrap_or(&time);
    let ppid = format::known(ppid, |ppid| ppid.to_string());
    let comm = harmless(comm);
    let line = format!("{time}  {kind:<4}  {pid:>7} {ppid:>7}  {comm:<15}  {details}");
    let line = line.trim_end();
    match size.width {
        Some(width) => line.chars().take(width as usize).collect(),
        None => line.to_owned(),
    }
}

fn exec(event: &ExecEvent) -> String {
    let argv = event.argv.as_ref().map(|argv| {
        let argv: Vec<&str> = argv.iter().map(AsRef::as_ref).collect();
        argv.join(" ")
    });
    let mut text = match (argv, &event.filename) {
        (Some(argv), _) if !argv.is_empty() => argv,
        (_, Some(filename)) => filename.to_string(),
        (_, None) => String::new(),
    };
    if event.argv_truncated {
        text.push_str(" …");
    }
    harmless(&text)
}

fn exit(event: &ExitEvent) -> String {
    let mut parts = Vec::new();
    if let Some(signal) = event.signal {
        parts.push(format!("signal {signal}"));
    } else if let Some(code) = event.exit_code {
        parts.push(format!("status {code}"));
    }
    if event.core_dumped == Some(true) {
        parts.push("core dumped".to_owned());
    }
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            parts.push(format!("{name} {value}"));
        }
    };
    add("lived", event.lifetime_ns.map(format::seconds));
    add("cpu", event.cpu_ns.map(format::seconds));
    add("waited", event.runqueue_ns.map(format::seconds));
    let switches = event.voluntary_switches.zip(event.involuntary_switches);
    add("switches", switches.map(|(a, b)| format!("{a}+{b}")));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn exit_event() -> ExitEvent {
        ExitEvent {
            time: UNIX_EPOCH + Duration::from_millis(1500),
            pid: 42,
            ppid: Some(1),
            start_time_ns: 0,
            end_time_ns: Some(4_000_000),
            lifetime_ns: Some(4_000_000),
            comm: "true".into(),
            exit_code: Some(3),
            signal: None,
            core_dumped: None,
            cpu_ns: Some(1_500_000),
            user_ns: None,
            system_ns: None,
            runqueue_ns: None,
            blocked_ns: None,
            interruptible_sleep_ns: None,
            uninterruptible_sleep_ns: None,
            voluntary_switches: Some(2),
            involuntary_switches: Some(1),
            minor_faults: None,
            major_faults: None,
        }
    }

    #[test]
    fn an_exit_says_how_and_what_it_used_as_far_as_that_is_known() {
        assert_eq!(
            event(&ProcessEvent::Exit(exit_event()), Size::UNBOUNDED),
            "00:00:01.500000  exit       42       1  true             \
             status 3, lived 4.00ms, cpu 1.50ms, switches 2+1"
        );
    }

    #[test]
    fn an_exec_shows_its_arguments_without_what_steers_the_terminal() {
        let exec = ExecEvent {
            time: UNIX_EPOCH,
            pid: 1,
            ppid: None,
            start_time_ns: 0,
            comm: "s\nh".into(),
            filename: Some("/bin/sh".into()),
            argv: Some(vec!["sh".into(), "-c".into(), "\x1b[2J".into()]),
            argv_truncated: true,
        };
        let line = event(&ProcessEvent::Exec(exec), Size::UNBOUNDED);
        assert!(line.contains("  s\\nh  "), "{line}");
        assert!(line.ends_with("  sh -c \\x1b[2J …"), "{line}");
    }

    #[test]
    fn the_header_stands_over_the_columns() {
        let line = event(&ProcessEvent::Exit(exit_event()), Size::UNBOUNDED);
        let details = line.find("status").unwrap();
        assert_eq!(EVENTS_HEADER.find("DETAILS").unwrap(), details);
        assert_eq!(
            EVENTS_HEADER.find("PID").unwrap() + 3,
            line.find("42").unwrap() + 2
        );
    }
}
