//! Series of processes, of which there are at most a fixed number.
//!
//! The processes that used most CPU time of late have a row each. Two more
//! rows keep the sums true: `other` is what was used by processes while they
//! had no row, and `gone` is what was counted in rows that are no longer
//! there. So at each scrape the rows add up to what all processes have used,
//! and no row ever goes back. A rate over `gone` means nothing: leave it out
//! of sums of rates.

use std::{collections::HashMap, sync::Arc};

use super::{
    rows::{Counters, Key, alive, key},
    text::{Family, Text, Value},
};
use crate::metric::{OtherProcesses, Process, ProcessStats};

/// A family made of one counter, or of several with a label that tells which.
struct CounterFamily {
    family: Family,
    unit: fn(u64) -> Value,
    label: Option<&'static str>,
    /// The index in [`Counters`], and the value of the label.
    values: &'static [(usize, &'static str)],
}

const FAMILIES: &[CounterFamily] = &[
    CounterFamily {
        family: Family::counter("host_process_cpu_seconds_total", "Time on a CPU."),
        unit: Value::Nanos,
        label: None,
        values: &[(2, "")],
    },
    CounterFamily {
        family: Family::counter(
            "host_process_cpu_mode_seconds_total",
            "Time on a CPU, by the mode that it was in.",
        ),
        unit: Value::Nanos,
        label: Some("mode"),
        values: &[(0, "user"), (1, "system")],
    },
    CounterFamily {
        family: Family::counter(
            "host_process_runqueue_wait_seconds_total",
            "Time in which a thread could run and waited for a CPU.",
        ),
        unit: Value::Nanos,
        label: None,
        values: &[(3, "")],
    },
    CounterFamily {
        family: Family::counter(
            "host_process_blocked_seconds_total",
            "Time in which threads slept.",
        ),
        unit: Value::Nanos,
        label: None,
        values: &[(4, "")],
    },
    CounterFamily {
        family: Family::counter("host_process_switches_total", "Context switches, by why."),
        unit: Value::Count,
        label: Some("reason"),
        values: &[(5, "voluntary"), (6, "involuntary")],
    },
    CounterFamily {
        family: Family::counter(
            "host_process_faults_total",
            "Page faults: major ones needed I/O.",
        ),
        unit: Value::Count,
        label: Some("kind"),
        values: &[(7, "minor"), (8, "major")],
    },
    CounterFamily {
        family: Family::counter(
            "host_process_read_bytes_total",
            "Bytes that were read from storage. What ended processes read is left out.",
        ),
        unit: Value::Count,
        label: None,
        values: &[(9, "")],
    },
    CounterFamily {
        family: Family::counter(
            "host_process_written_bytes_total",
            "Bytes that were written to storage. What ended processes wrote is left out.",
        ),
        unit: Value::Count,
        label: None,
        values: &[(10, "")],
    },
];

/// A gauge, its value for a process, and for those that the reading has no row
/// of.
struct GaugeFamily {
    family: Family,
    of_process: fn(&Process) -> Option<u64>,
    of_others: fn(&OtherProcesses) -> Option<u64>,
}

const GAUGES: &[GaugeFamily] = &[
    GaugeFamily {
        family: Family::gauge("host_process_resident_memory_bytes", "Resident memory."),
        of_process: |p| p.rss_bytes,
        of_others: |o| o.rss_bytes,
    },
    GaugeFamily {
        family: Family::gauge("host_process_virtual_memory_bytes", "Virtual memory."),
        of_process: |p| p.vm_bytes,
        of_others: |o| o.vm_bytes,
    },
    GaugeFamily {
        family: Family::gauge("host_process_threads", "Threads."),
        of_process: |p| p.threads.map(u64::from),
        of_others: |o| o.threads,
    },
];

const ALIVE: Family = Family::gauge("host_processes", "Processes that are alive.");
const ENDED: Family = Family::counter(
    "host_processes_ended_total",
    "Processes that ended since the collector began.",
);
const ALL_CPU: Family = Family::counter(
    "host_processes_cpu_seconds_total",
    "Time on a CPU of all processes, alive and ended.",
);

/// What is remembered from scrape to scrape.
#[derive(Debug)]
pub(super) struct ProcessFamilies {
    /// How many processes may have a row.
    limit: usize,
    previous: Option<Arc<ProcessStats>>,
    rows: HashMap<Key, Row>,
    other: Counters,
    gone: Counters,
    /// What ended processes used, where the reading does not tell it.
    vanished: Counters,
    /// How much CPU time each process used of late: it halves at each scrape.
    lately: HashMap<Key, u64>,
}

/// A process that has series of its own.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// What it had used before it had a row: that is counted in `other`.
    before: Counters,
    shown: Counters,
}

impl ProcessFamilies {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            previous: None,
            rows: HashMap::new(),
            other: Counters::default(),
            gone: Counters::default(),
            vanished: Counters::default(),
            lately: HashMap::new(),
        }
    }

    pub(super) fn encode(&mut self, text: &mut Text, stats: &Arc<ProcessStats>) {
        let (shown, total) = self.update(stats);
        for family in FAMILIES {
            let rows = shown.iter().map(|process| {
                let row = self.rows.get(&key(process));
                let counters = row.map_or_else(Counters::default, |row| row.shown);
                (process.pid.to_string(), process.comm.to_string(), counters)
            });
            let sums = [("other", self.other), ("gone", self.gone)];
            let sums = sums.map(|(name, counters)| (name.to_owned(), name.to_owned(), counters));
            let series = rows.chain(sums).flat_map(|(pid, comm, counters)| {
                family.values.iter().map(move |(index, value)| {
                    let mut labels = vec![("pid", pid.clone()), ("comm", comm.clone())];
                    labels.extend(family.label.map(|label| (label, (*value).to_owned())));
                    (labels, counters.0[*index].map(family.unit))
                })
            });
            text.family(&family.family, series);
        }
        for gauge in GAUGES {
            let value = gauge.of_process;
            let rows = shown.iter().map(|process| {
                let labels = labels(&process.pid.to_string(), &process.comm);
                (labels, value(process))
            });
            let without = |process: &&Process| !self.rows.contains_key(&key(process));
            let others = stats.processes.iter().filter(without).filter_map(value);
            let others = others.chain(stats.other.as_ref().and_then(gauge.of_others));
            let others = others.reduce(u64::saturating_add);
            let series = rows.chain([(labels("other", "other"), others)]);
            let series = series.map(|(labels, value)| (labels, value.map(Value::Count)));
            text.family(&gauge.family, series);
        }
        let unlisted = stats.other.as_ref().map_or(0, |other| other.processes);
        let alive = stats.processes.len() as u64 + unlisted;
        text.single(&ALIVE, Some(Value::Count(alive)));
        text.single(&ENDED, stats.exited.processes.map(Value::Count));
        text.single(&ALL_CPU, total.0[2].map(Value::Nanos));
    }

    /// Takes in a reading: who has a row now, and the sum over all.
    fn update<'s>(&mut self, stats: &'s Arc<ProcessStats>) -> (Vec<&'s Process>, Counters) {
        let before: HashMap<Key, Counters> = match &self.previous {
            Some(previous) => {
                let rows = previous.processes.iter();
                rows.map(|p| (key(p), Counters::of_process(p))).collect()
            }
            None => HashMap::new(),
        };
        let first = self.previous.is_none();
        let shown = self.choose(stats, &before);

        let now: HashMap<Key, &Process> = stats.processes.iter().map(|p| (key(p), p)).collect();
        let exited = Counters::of_exited(&stats.exited);
        // Who is not listed any more may be among the others instead.
        if stats.other.is_none() {
            for (key, counters) in &before {
                if !now.contains_key(key) {
                    self.vanished = self.vanished.plus(counters.where_unknown(exited));
                }
            }
        }
        let total = alive(stats).plus(exited).plus(self.vanished);

        let mut rows = HashMap::with_capacity(shown.len());
        for process in &shown {
            let key = key(process);
            let counters = Counters::of_process(process);
            let base = match (self.rows.get(&key), before.get(&key)) {
                (Some(row), _) => row.before,
                (None, Some(unshown)) if !first => *unshown,
                (None, _) => Counters::default(),
            };
            let shown = counters.minus(base);
            rows.insert(
                key,
                Row {
                    before: base,
                    shown,
                },
            );
        }
        for (key, row) in &self.rows {
            if !rows.contains_key(key) {
                self.gone = self.gone.plus(row.shown);
            }
        }
        let in_rows = rows
            .values()
            .map(|row| row.shown)
            .fold(self.gone, Counters::plus);
        // A process that is read while it ends may be missing from both sums
        // for one tick: then `other` waits for it.
        self.other = total.minus(in_rows).at_least(self.other);
        self.rows = rows;
        self.previous = Some(Arc::clone(stats));
        (shown, total)
    }

    /// The processes that used most CPU time of late. Who has a row keeps it
    /// before one that used as much, so that rows do not come and go.
    fn choose<'s>(
        &mut self,
        stats: &'s ProcessStats,
        before: &HashMap<Key, Counters>,
    ) -> Vec<&'s Process> {
        let mut lately = HashMap::with_capacity(stats.processes.len());
        let mut ranked: Vec<_> = Vec::with_capacity(stats.processes.len());
        for process in &stats.processes {
            let key = key(process);
            let used = process.cpu_ns.unwrap_or(0);
            let was = before
                .get(&key)
                .and_then(|counters| counters.0[2])
                .unwrap_or(0);
            let earlier = self.lately.get(&key).copied().unwrap_or(0) / 2;
            let score = earlier.saturating_add(used.saturating_sub(was));
            lately.insert(key, score);
            ranked.push((score, self.rows.contains_key(&key), used, process));
        }
        self.lately = lately;
        ranked.sort_by_key(|(score, has_row, used, process)| {
            (std::cmp::Reverse((*score, *has_row, *used)), process.pid)
        });
        let shown = ranked.into_iter().take(self.limit);
        shown.map(|(_, _, _, process)| process).collect()
    }
}

fn labels(pid: &str, comm: &str) -> [(&'static str, String); 2] {
    [("pid", pid.to_owned()), ("comm", comm.to_owned())]
}

#[cfg(test)]
#[path = "process_stats_tests.rs"]
mod tests;
