use std::{collections::HashMap, fmt::Write as _};

use collector::metric::{Process, ProcessStats};

use super::{Grid, Side, cgroups, format};
use crate::cli::output::Size;

/// The rates of a process since the previous sample; `None` where unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rates {
    cpu: Option<f64>,
    user: Option<f64>,
    system: Option<f64>,
    runqueue: Option<f64>,
    switches: Option<f64>,
}

/// The processes by CPU time since the previous sample, or since their start
/// without one.
pub(super) fn table(
    now: &ProcessStats,
    before: Option<(&ProcessStats, f64)>,
    size: Size,
) -> String {
    let previous: HashMap<(u32, u64), &Process> = before
        .map(|(before, _)| before.processes.shared().map(|p| (key(p), &**p)).collect())
        .unwrap_or_default();
    let newest =
        before.and_then(|(before, _)| before.processes.shared().map(|p| p.start_time_ns).max());
    let unused = unused();
    let mut rows: Vec<(&Process, Rates)> = now
        .processes
        .shared()
        .map(|process| {
            let base = previous.get(&key(process)).copied();
            // A new process had used nothing before.
            let base = base.or((Some(process.start_time_ns) > newest).then_some(&unused));
            let rates = match (before, base) {
                (Some((_, seconds)), Some(base)) => Rates::between(base, process, seconds),
                _ => Rates::default(),
            };
            (&**process, rates)
        })
        .collect();
    rows.sort_by(|(a, a_rates), (b, b_rates)| {
        let by_rate = b_rates
            .cpu
            .unwrap_or(-1.0)
            .total_cmp(&a_rates.cpu.unwrap_or(-1.0));
        by_rate
            .then_with(|| b.cpu_ns.cmp(&a.cpu_ns))
            .then_with(|| a.pid.cmp(&b.pid))
    });

    let mut grid = Grid::new(&[
        ("PID", Side::Right),
        ("UID", Side::Right),
        ("S", Side::Left),
        ("CPU%", Side::Right),
        ("USR%", Side::Right),
        ("SYS%", Side::Right),
        ("WAIT ms/s", Side::Right),
        ("SWITCH/s", Side::Right),
        ("CPU TIME", Side::Right),
        ("RSS", Side::Right),
        ("THR", Side::Right),
        ("COMMAND", Side::Left),
    ])
    .without_if_narrow(&["CPU TIME", "THR", "USR%", "SYS%"]);
    let earlier = before.map(|(before, seconds)| (&before.cgroups[..], seconds));
    // The processes get at least two thirds of the height.
    let room = size.height.map_or(usize::MAX, |height| height as usize / 3);
    let cgroups = cgroups::table(&now.cgroups, earlier, size)
        .map(|text| format!("\n\n{text}"))
        .filter(|text| text.lines().count() < room)
        .unwrap_or_default();
    // The header of the sample, the totals and the titles take one line each.
    let fit = size.height.map_or(usize::MAX, |height| {
        (height as usize).saturating_sub(3 + cgroups.lines().count())
    });
    for (process, rates) in rows.iter().take(fit) {
        grid.add(row(process, rates));
    }
    let totals = totals(now, before, &rows);
    format!("{totals}\n{}{cgroups}", grid.render(size))
}

/// A process at its start.
fn unused() -> Process {
    Process {
        cpu_ns: Some(0),
        user_ns: Some(0),
        system_ns: Some(0),
        runqueue_ns: Some(0),
        voluntary_switches: Some(0),
        involuntary_switches: Some(0),
        ..Process::default()
    }
}

fn key(process: &Process) -> (u32, u64) {
    (process.pid, process.start_time_ns)
}

impl Rates {
    fn between(before: &Process, now: &Process, seconds: f64) -> Self {
        let rate = |now: Option<u64>, before: Option<u64>| {
            let grown = now?.saturating_sub(before?);
            Some(grown as f64 / seconds)
        };
        let percent = |now, before| rate(now, before).map(|ns| ns / 1e7);
        let voluntary = rate(now.voluntary_switches, before.voluntary_switches);
        let involuntary = rate(now.involuntary_switches, before.involuntary_switches);
        Self {
            cpu: percent(now.cpu_ns, before.cpu_ns),
            user: percent(now.user_ns, before.user_ns),
            system: percent(now.system_ns, before.system_ns),
            runqueue: rate(now.runqueue_ns, before.runqueue_ns).map(|ns| ns / 1e6),
            switches: voluntary.zip(involuntary).map(|(a, b)| a + b),
        }
    }
}

fn row(process: &Process, rates: &Rates) -> [String; 12] {
    [
        process.pid.to_string(),
        format::known(process.uid, |uid| uid.to_string()),
        format::known(process.state, |state| state.letter().to_string()),
        format::tenths(rates.cpu),
        format::tenths(rates.user),
        format::tenths(rates.system),
        format::tenths(rates.runqueue),
        format::whole(rates.switches),
        format::known(process.cpu_ns, format::seconds),
        format::known(process.rss_bytes, format::bytes),
        format::known(process.threads, |threads| threads.to_string()),
        command(process),
    ]
}

/// The command line without the directory of the program, or the name: in
/// brackets for a kernel thread.
fn command(process: &Process) -> String {
    match process.cmdline.as_deref() {
        Some(cmdline) if !cmdline.is_empty() => {
            let program = cmdline.split(' ').next().unwrap_or(cmdline);
            let folder = match program.rfind('/') {
                // A process may set any name: `/` or `sshd: /x`.
                Some(slash) if program.starts_with('/') && slash + 1 < program.len() => slash + 1,
                _ => 0,
            };
            format::harmless(&cmdline[folder..])
        }
        _ if process.kernel_thread == Some(true) => {
            format!("[{}]", format::harmless(&process.comm))
        }
        _ => format::harmless(&process.comm),
    }
}

/// The totals of the host.
fn totals(
    now: &ProcessStats,
    before: Option<(&ProcessStats, f64)>,
    rows: &[(&Process, Rates)],
) -> String {
    let threads: u64 = now
        .processes
        .shared()
        .filter_map(|p| p.threads)
        .map(u64::from)
        .sum();
    let mut text = format!("{} processes, {threads} threads", now.processes.len());
    if let Some(other) = &now.other {
        let _ = write!(text, " listed, {} more", other.processes);
    }
    match before {
        Some((before, seconds)) => {
            let sum = |of: fn(&Rates) -> Option<f64>| {
                let known = rows.iter().filter_map(|(_, rates)| of(rates));
                format::tenths(known.reduce(|sum, rate| sum + rate))
            };
            let (alive, wait) = (sum(|rates| rates.cpu), sum(|rates| rates.runqueue));
            let _ = write!(text, ", CPU {alive}% of one, run-queue wait {wait} ms/s");
            if let (Some(now), Some(before)) = (now.exited.processes, before.exited.processes) {
                let ended = now.saturating_sub(before) as f64 / seconds;
                let _ = write!(text, ", {ended:.0} exited/s");
            }
        }
        None => text.push_str("; rates from the second sample on"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, start: u64, cpu_ms: u64) -> Process {
        Process {
            pid,
            start_time_ns: start,
            comm: format!("p{pid}").into(),
            cpu_ns: Some(cpu_ms * 1_000_000),
            runqueue_ns: Some(cpu_ms * 100_000),
            ..Process::default()
        }
    }

    fn stats(processes: Vec<Process>) -> ProcessStats {
        ProcessStats {
            processes: processes.into(),
            ..ProcessStats::default()
        }
    }

    fn pids(text: &str) -> Vec<&str> {
        let rows = text.lines().skip(2);
        rows.filter_map(|line| line.split_whitespace().next())
            .collect()
    }

    #[test]
    fn who_used_most_since_the_sample_before_is_first() {
        let before = stats(vec![process(1, 1, 9_000), process(2, 2, 0)]);
        let now = stats(vec![process(1, 1, 9_000), process(2, 2, 500)]);
        let text = table(&now, Some((&before, 1.0)), Size::UNBOUNDED);
        assert_eq!(pids(&text), ["2", "1"]);
        assert!(
            text.starts_with("2 processes, 0 threads, CPU 50.0% of one, run-queue wait 50.0 ms/s")
        );
    }

    #[test]
    fn without_a_sample_before_there_are_no_rates_and_the_totals_rank() {
        let now = stats(vec![process(1, 1, 10), process(2, 2, 500)]);
        let text = table(&now, None, Size::UNBOUNDED);
        assert_eq!(pids(&text), ["2", "1"]);
        assert!(text.contains("rates from the second sample on"));
        assert!(!text.contains("50.0"));
    }

    #[test]
    fn a_new_process_counts_from_nothing_and_a_reused_pid_is_another_process() {
        let before = stats(vec![process(1, 1, 9_000)]);
        let now = stats(vec![process(1, 5, 200)]);
        let text = table(&now, Some((&before, 1.0)), Size::UNBOUNDED);
        assert!(text.contains("CPU 20.0% of one"), "{text}");
    }

    #[test]
    fn what_was_not_known_before_has_no_rate_and_did_not_grow_from_zero() {
        let mut before = process(1, 1, 9_000);
        before.cpu_ns = None;
        let rates = Rates::between(&before, &process(1, 1, 9_100), 1.0);
        assert_eq!(rates.cpu, None);
        assert!(rates.runqueue.is_some());
        let text = table(
            &stats(vec![process(1, 1, 9_100)]),
            Some((&stats(vec![before]), 1.0)),
            Size::UNBOUNDED,
        );
        assert!(
            text.contains("CPU -% of one, run-queue wait 10.0 ms/s"),
            "{text}"
        );
    }

    #[test]
    fn what_is_not_known_is_a_dash_and_not_a_zero() {
        let now = stats(vec![Process {
            pid: 3,
            ..Process::default()
        }]);
        let row = row(&now.processes.iter().next().unwrap(), &Rates::default());
        assert_eq!(row[3], "-");
        assert_eq!(row[9], "-");
    }

    #[test]
    fn it_fits_the_terminal() {
        let now = stats((1..100).map(|pid| process(pid, 1, 1)).collect());
        let size = Size {
            width: Some(60),
            height: Some(24),
        };
        let text = table(&now, None, size);
        // The header of the sample is a line more.
        assert!(text.lines().count() < 24);
    }
}
