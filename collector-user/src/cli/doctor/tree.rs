use std::any::Any;

use collector::{
    collectors::{Collector, CollectorSet, add_procfs, add_tiers_1_and_2},
    metric::{CpuStats, ProcessStats, Reading},
    source::Tick,
};

use super::{Check, CheckStatus, Examined, passed};

/// Runs every collector that reads `/proc` and `/sys`.
pub(super) fn checks(examined: &Examined) -> Vec<Check> {
    let tick = examined.sources.tick();
    if let Err(error) = examined.sources.check() {
        return vec![nothing(examined, error.to_string())];
    }
    let collected = Collected {
        tick: &tick,
        processes: 0,
        problems: Vec::new(),
    };
    let (collected, _poller) = add_procfs(add_tiers_1_and_2(collected));
    let lacks = |metric| collected.problems.iter().any(|(name, _)| *name == metric);
    if lacks(CpuStats::METRIC.name) && lacks(ProcessStats::METRIC.name) {
        let found: Vec<&str> = collected.problems.iter().map(|(_, what)| &**what).collect();
        return vec![nothing(examined, found.join("; "))];
    }
    let mut checks = vec![processes(examined, &tick, collected.processes)];
    for (metric, problem) in collected.problems {
        checks.push(Check::failed(
            format!("metric {metric}"),
            CheckStatus::Fallback,
            problem,
            format!("{metric} is unavailable"),
            if examined.is_live() {
                "mount what is missing; everything else works"
            } else {
                "set --root to a tree that has it; everything else works"
            },
        ));
    }
    checks
}

/// No processes and no CPUs can be read.
fn nothing(examined: &Examined, found: String) -> Check {
    let fix = if examined.is_live() {
        "mount /proc"
    } else {
        "set --root to the directory that contains proc and sys"
    };
    Check::failed(
        "procfs",
        CheckStatus::Failed,
        found,
        "nothing can be collected",
        fix,
    )
}

fn processes(examined: &Examined, tick: &Tick, count: usize) -> Check {
    // With the mount option hidepid only own processes are visible, and not PID 1.
    let hides = |error: collector::source::SourceError| error.is_not_found();
    if examined.is_live() && tick.read("/proc/1/stat").is_err_and(hides) {
        return Check::failed(
            "procfs",
            CheckStatus::Fallback,
            format!("{count} processes"),
            "only own processes are visible: /proc is mounted with hidepid",
            "run collector with sudo, or in the group of the mount option gid",
        );
    }
    let proc = examined.sources.root().join("proc");
    passed("procfs", format!("{}, {count} processes", proc.display()))
}

/// Runs each collector that is added.
struct Collected<'a> {
    tick: &'a Tick,
    processes: usize,
    /// The metrics without a reading, and why.
    problems: Vec<(&'static str, String)>,
}

impl CollectorSet for Collected<'_> {
    fn add<C: Collector>(mut self, mut collector: C) -> Self {
        let problem = match collector.collect(self.tick) {
            Ok(reading) => {
                let reading: &dyn Any = &reading;
                let processes = reading.downcast_ref::<ProcessStats>();
                self.processes = processes.map_or(self.processes, |stats| stats.processes.len());
                let has_no_cpu = |stats: &CpuStats| stats.cpus.is_empty();
                if processes.is_some_and(|stats| stats.processes.is_empty()) {
                    Some("no process in /proc can be read".to_owned())
                } else if reading.downcast_ref().is_some_and(has_no_cpu) {
                    Some("/proc/stat has no CPU".to_owned())
                } else {
                    None
                }
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            self.problems.push((C::Reading::METRIC.name, problem));
        }
        self
    }
}
