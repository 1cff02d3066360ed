use std::fmt::Write as _;

use collector::metric::{CpuStats, CpuTimes};

use super::{Grid, Side, format};
use crate::cli::output::Size;

/// A column: its title and counter.
type Column = (&'static str, fn(&CpuTimes) -> Option<u64>);

const TIMES: &[Column] = &[
    ("USR%", |cpu| cpu.user_ns),
    ("NICE%", |cpu| cpu.nice_ns),
    ("SYS%", |cpu| cpu.system_ns),
    ("IDLE%", |cpu| cpu.idle_ns),
    ("IOWAIT%", |cpu| cpu.iowait_ns),
    ("IRQ%", |cpu| cpu.irq_ns),
    ("SOFT%", |cpu| cpu.softirq_ns),
    ("STEAL%", |cpu| cpu.steal_ns),
    ("BUSY%", |cpu| cpu.busy_ns),
];

const COUNTS: &[Column] = &[
    ("SWITCH/s", |cpu| cpu.context_switches),
    ("VOL/s", |cpu| cpu.voluntary_switches),
    ("INVOL/s", |cpu| cpu.involuntary_switches),
    ("WAKEUP/s", |cpu| cpu.wakeups),
];

/// Each CPU: shares and rates since the previous sample, or totals since boot
/// without one. The total is the average of all CPUs.
pub(super) fn table(now: &CpuStats, before: Option<(&CpuStats, f64)>, size: Size) -> String {
    let mut titles = vec![("CPU", Side::Left)];
    for (title, _) in TIMES.iter().chain(COUNTS) {
        let title = match before {
            Some(_) => title,
            None => title.trim_end_matches('%').trim_end_matches("/s"),
        };
        titles.push((title, Side::Right));
    }
    let mut grid = Grid::new(&titles);
    let fit = size
        .height
        .map_or(usize::MAX, |height| (height as usize).saturating_sub(4));
    let cpus = now.cpus.len().max(1) as f64;
    grid.add(row(
        "all",
        &now.total,
        before.map(|(b, s)| (&b.total, s, cpus)),
    ));
    for cpu in now.cpus.iter().take(fit) {
        let name = format::known(cpu.cpu, |cpu| cpu.to_string());
        let base = before.and_then(|(before, seconds)| {
            let base = before.cpus.iter().find(|other| other.cpu == cpu.cpu)?;
            Some((base, seconds, 1.0))
        });
        grid.add(row(&name, cpu, base));
    }
    format!("{}\n{}", totals(now, before), grid.render(size))
}

fn row(name: &str, now: &CpuTimes, before: Option<(&CpuTimes, f64, f64)>) -> Vec<String> {
    let grown = |of: fn(&CpuTimes) -> Option<u64>| {
        let (before, seconds, cpus) = before?;
        Some((of(now)?.saturating_sub(of(before)?) as f64 / seconds, cpus))
    };
    let mut cells = vec![name.to_owned()];
    for (_, of) in TIMES {
        cells.push(match before {
            Some(_) => format::tenths(grown(*of).map(|(ns, cpus)| ns / 1e7 / cpus)),
            None => format::known(of(now), format::seconds),
        });
    }
    for (_, of) in COUNTS {
        cells.push(match before {
            Some(_) => format::whole(grown(*of).map(|(count, _)| count)),
            None => format::known(of(now), |count| count.to_string()),
        });
    }
    cells
}

fn totals(now: &CpuStats, before: Option<(&CpuStats, f64)>) -> String {
    let mut text = format!("{} CPUs", now.cpus.len());
    if let Some(running) = now.procs_running {
        let _ = write!(text, ", {running} tasks runnable");
    }
    if let Some(blocked) = now.procs_blocked {
        let _ = write!(text, ", {blocked} in uninterruptible sleep");
    }
    let forks = before.and_then(|(before, seconds)| {
        Some(now.forks?.saturating_sub(before.forks?) as f64 / seconds)
    });
    if let Some(forks) = forks {
        let _ = write!(text, ", {forks:.0} forks/s");
    }
    if let Some(dropped @ 1..) = now.events_dropped {
        let _ = write!(text, ", {dropped} events dropped");
    }
    if let Some(dropped @ 1..) = now.threads_dropped {
        let _ = write!(text, ", {dropped} threads dropped");
    }
    if before.is_none() {
        text.push_str("; totals since boot, rates from the second sample on");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(user: u64, idle: u64) -> CpuStats {
        let times = |cpu| CpuTimes {
            cpu,
            user_ns: Some(user * 1_000_000),
            idle_ns: Some(idle * 1_000_000),
            ..CpuTimes::default()
        };
        CpuStats {
            cpus: vec![times(Some(0))],
            total: times(None),
            ..CpuStats::default()
        }
    }

    #[test]
    fn shares_are_of_the_time_between_two_samples() {
        let text = table(
            &stats(1500, 700),
            Some((&stats(1000, 200), 1.0)),
            Size::UNBOUNDED,
        );
        let row: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(row[..5], ["0", "50.0", "-", "-", "50.0"]);
    }

    #[test]
    fn the_first_sample_shows_totals() {
        let text = table(&stats(1500, 700), None, Size::UNBOUNDED);
        assert!(text.contains("1.50s"), "{text}");
        assert!(!text.contains('%'), "{text}");
    }
}
