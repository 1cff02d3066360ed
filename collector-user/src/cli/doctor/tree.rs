use std::any::Any;

use collector::{
    collector::{Collector, CollectorSet, add_procfs, add_tiers_1_and_2},
    metric::{CpuStats, ProcessStats, Reading},
    source::Tick,
};

use super::{Check, Patient, State, fine};

/// What every collector that reads `/proc` and `/sys` makes of them.
pub(super) fn checks(patient: &Patient) -> Vec<Check> {
    let tick = patient.sources.tick();
    if let Err(error) = patient.sources.check() {
        return vec![nothing(patient, error.to_string())];
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
        return vec![nothing(patient, found.join("; "))];
    }
    let mut checks = vec![processes(patient, &tick, collected.processes)];
    for (metric, problem) in collected.problems {
        checks.push(Check::wrong(
            format!("metric {metric}"),
            State::Fallback,
            problem,
            format!("there is no {metric}"),
            if patient.is_live() {
                "mount what is missing; the rest works"
            } else {
                "give --root a tree that has it; the rest works"
            },
        ));
    }
    checks
}

/// Nothing that is worth a start can be read.
fn nothing(patient: &Patient, found: String) -> Check {
    let mend = if patient.is_live() {
        "mount /proc"
    } else {
        "give --root the directory that has proc and sys in it"
    };
    Check::wrong(
        "procfs",
        State::Failed,
        found,
        "nothing can be collected",
        mend,
    )
}

fn processes(patient: &Patient, tick: &Tick, count: usize) -> Check {
    // A mount with hidepid shows the own processes only, and not the first.
    let hides = |error: collector::source::SourceError| error.is_not_found();
    if patient.is_live() && tick.read("/proc/1/stat").is_err_and(hides) {
        return Check::wrong(
            "procfs",
            State::Fallback,
            format!("{count} processes"),
            "only the own processes can be seen: /proc is mounted with hidepid",
            "run it with sudo, or in the group that the mount option gid names",
        );
    }
    let proc = patient.sources.root().join("proc");
    fine("procfs", format!("{}, {count} processes", proc.display()))
}

/// What was collected so far.
struct Collected<'a> {
    tick: &'a Tick,
    processes: usize,
    /// The metrics of which there is no reading, and why.
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
                    Some("no directory of /proc has a process that can be read".to_owned())
                } else if reading.downcast_ref().is_some_and(has_no_cpu) {
                    Some("/proc/stat has no line of a CPU".to_owned())
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
