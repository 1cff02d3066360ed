//! Series of processes: a bounded number.
//!
//! The processes with the most recent CPU time have a row each. Two more rows
//! keep the sums true: `other` is what processes used while they had no row,
//! and `gone` is the sum of rows that were removed. So at any time the rows add
//! up to what all processes have used, and no row decreases. A rate over `gone`
//! has no meaning: leave it out of sums of rates.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use super::{
    derived::{self, DerivedFamily},
    rows::{Key, key},
    sums::{GAUGES, Sums, gauges_of, gauges_of_others},
    text::{Family, Text, Value, Written},
};
use crate::metric::{
    Difference, HasProcessCounters, Process, ProcessCounters, ProcessList, ProcessStats,
    schema::Record as _,
};

/// The families of the counters of a process.
static FAMILIES: LazyLock<Vec<DerivedFamily>> =
    LazyLock::new(|| derived::families(&ProcessCounters::INFO, "host_process"));

/// In the order of [`gauges_of`].
const GAUGE_FAMILIES: [Family; GAUGES] = [
    Family::gauge("host_process_resident_memory_bytes", "Resident memory."),
    Family::gauge("host_process_virtual_memory_bytes", "Virtual memory."),
    Family::gauge("host_process_threads", "Threads."),
];

const ALIVE: Family = Family::gauge("host_processes", "Live processes.");
const ENDED: Family = Family::counter(
    "host_processes_ended_total",
    "Processes reaped since the collector started.",
);
const ALL_CPU: Family = Family::counter(
    "host_processes_cpu_seconds_total",
    "On-CPU time of all processes, live and exited.",
);

/// The interval at which the rows are chosen, on the monotonic clock.
const CHOICE_NS: u64 = 10_000_000_000;

/// The rows, from reading to reading. Only a new reading changes them, so all
/// scrapers get the same.
#[derive(Debug)]
pub(super) struct ProcessFamilies {
    /// The maximum number of rows.
    limit: usize,
    /// The last reading, and the sums over its processes.
    reading: Option<Arc<ProcessStats>>,
    listed: Sums,
    /// In the order of their keys.
    rows: Vec<Row>,
    other: ProcessCounters,
    gone: ProcessCounters,
    /// What exited processes used, where the reading does not have it.
    vanished: ProcessCounters,
    total: ProcessCounters,
    choice: Choice,
}

/// A process with series of its own.
#[derive(Clone, Debug)]
struct Row {
    process: Arc<Process>,
    labels: Written,
    /// What it had used before it got a row: that is counted in `other`.
    before: ProcessCounters,
    shown: ProcessCounters,
}

/// The choice of the rows, by recent CPU time.
#[derive(Debug, Default)]
struct Choice {
    /// When the rows were last chosen, in [`CHOICE_NS`].
    at: Option<u64>,
    /// The reading at that time.
    reading: Option<Arc<ProcessStats>>,
    /// The recent CPU time of each process: it is halved at each choice.
    lately: HashMap<Key, u64>,
}

impl Row {
    fn key(&self) -> Key {
        key(&self.process)
    }

    fn new(process: &Arc<Process>, before: ProcessCounters) -> Self {
        Self {
            labels: labels(process),
            before,
            shown: process.counters_at(0).minus(before),
            process: Arc::clone(process),
        }
    }

    fn update(&mut self, process: &Arc<Process>) {
        if self.process.comm != process.comm {
            self.labels = labels(process);
        }
        self.process = Arc::clone(process);
    }

    /// Updates the counters to a time.
    fn advance_to(&mut self, at_ns: u64) {
        let shown = self.process.counters_at(at_ns).minus(self.before);
        self.shown = shown.max(self.shown);
    }
}

impl ProcessFamilies {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            reading: None,
            listed: Sums::default(),
            rows: Vec::new(),
            other: ProcessCounters::default(),
            gone: ProcessCounters::default(),
            vanished: ProcessCounters::default(),
            total: ProcessCounters::default(),
            choice: Choice::default(),
        }
    }

    /// Processes a reading of this time on the monotonic clock.
    pub(super) fn observe(&mut self, stats: &Arc<ProcessStats>, monotonic_ns: u64) {
        let previous = self.reading.replace(Arc::clone(stats));
        let exited = stats.exited.process_counters();
        let at_ns = stats.processes.as_of_ns();
        let nothing = ProcessList::default();
        let before = previous.as_ref().map_or(&nothing, |stats| &stats.processes);
        let mut begun = Vec::new();
        for difference in stats.processes.since(before) {
            match difference {
                Difference::Begun(process) => {
                    self.listed.add(process);
                    begun.push(process);
                }
                Difference::Changed(old, new) => {
                    self.listed.remove(old);
                    self.listed.add(new);
                    if let Ok(index) = self.find(key(new)) {
                        self.rows[index].update(new);
                    }
                }
                Difference::Ended(process) => {
                    self.listed.remove(process);
                    // A process that is not listed any more may be among the
                    // others.
                    if stats.other.is_none() {
                        let used = process.counters_at(at_ns).where_unknown(exited);
                        self.vanished = self.vanished.plus(used);
                    }
                    self.remove_row(key(process));
                }
            }
        }
        let now = monotonic_ns / CHOICE_NS;
        if self.choice.at == Some(now) {
            let free = self.limit.saturating_sub(self.rows.len());
            begun.sort_by_key(|process| Reverse(process.cpu_ns));
            for process in begun.into_iter().take(free) {
                self.add_row(process, previous.as_deref(), at_ns);
            }
        } else {
            self.choice.at = Some(now);
            self.choose(stats, previous.as_deref());
        }
        let others = stats
            .other
            .as_ref()
            .map(HasProcessCounters::process_counters);
        let listed = self.listed.counters(at_ns);
        for row in &mut self.rows {
            row.advance_to(at_ns);
        }
        let alive = listed.plus(others.unwrap_or_default());
        // A process that is read while it exits may be missing from both sums
        // for one tick: then the total and `other` do not change until it is
        // counted again.
        let total = alive.plus(exited).plus(self.vanished);
        self.total = total.max(self.total);
        let shown = self.rows.iter().map(|row| row.shown);
        let in_rows = shown.fold(self.gone, ProcessCounters::plus);
        self.other = self.total.minus(in_rows).max(self.other);
    }

    fn find(&self, key: Key) -> Result<usize, usize> {
        self.rows.binary_search_by_key(&key, Row::key)
    }

    /// Adds a row for a process. Its counters start from their values in the
    /// reading before: what it had used until then is counted already.
    fn add_row(&mut self, process: &Arc<Process>, previous: Option<&ProcessStats>, at_ns: u64) {
        let before = match previous {
            None => ProcessCounters::default(),
            Some(previous) => {
                let row = previous.processes.get(process.pid);
                match row.filter(|row| key(row) == key(process)) {
                    Some(row) => row.counters_at(0),
                    // It was among the others in that reading.
                    None if previous.other.is_some() => process.counters_at(at_ns),
                    None => ProcessCounters::default(),
                }
            }
        };
        if let Err(index) = self.find(key(process)) {
            self.rows.insert(index, Row::new(process, before));
        }
    }

    fn remove_row(&mut self, key: Key) {
        if let Ok(index) = self.find(key) {
            let row = self.rows.remove(index);
            self.gone = self.gone.plus(row.shown);
        }
    }

    /// Chooses the processes with the most recent CPU time. At equal CPU time a
    /// process that has a row keeps it, so that rows do not come and go.
    fn choose(&mut self, stats: &Arc<ProcessStats>, previous: Option<&ProcessStats>) {
        let at_ns = stats.processes.as_of_ns();
        let last = self.choice.reading.replace(Arc::clone(stats));
        let nothing = ProcessList::default();
        let last = last.as_ref().map_or(&nothing, |stats| &stats.processes);
        let mut lately: HashMap<Key, u64> = std::mem::take(&mut self.choice.lately)
            .into_iter()
            .filter_map(|(key, used)| (used > 1).then_some((key, used / 2)))
            .collect();
        for difference in stats.processes.since(last) {
            let (process, was) = match difference {
                Difference::Begun(process) => (process, 0),
                Difference::Changed(old, new) => (new, old.cpu_ns.unwrap_or(0)),
                Difference::Ended(process) => {
                    lately.remove(&key(process));
                    continue;
                }
            };
            let used = process.cpu_ns.unwrap_or(0).saturating_sub(was);
            if used > 0 {
                let score = lately.entry(key(process)).or_default();
                *score = score.saturating_add(used);
            }
        }
        let mut ranked: Vec<_> = stats
            .processes
            .shared()
            .map(|process| {
                let key = key(process);
                let score = lately.get(&key).copied().unwrap_or(0);
                let rank = (score, self.find(key).is_ok(), process.cpu_ns.unwrap_or(0));
                (Reverse(rank), process.pid, process)
            })
            .collect();
        if self.limit < ranked.len() {
            ranked.select_nth_unstable_by_key(self.limit, |(rank, pid, _)| (*rank, *pid));
            ranked.truncate(self.limit);
        }
        self.choice.lately = lately;
        let mut kept: Vec<Key> = ranked.iter().map(|(_, _, process)| key(process)).collect();
        kept.sort_unstable();
        let given_up = self.rows.iter().map(Row::key);
        let given_up = given_up.filter(|key| kept.binary_search(key).is_err());
        for key in given_up.collect::<Vec<_>>() {
            self.remove_row(key);
        }
        for (_, _, process) in ranked {
            self.add_row(process, previous, at_ns);
        }
    }

    /// Writes the series of the last reading.
    pub(super) fn encode(&self, text: &mut Text) {
        let Some(stats) = &self.reading else { return };
        let sum = |name| Written::new([("pid", name), ("comm", name)]);
        let (other, gone) = (sum("other"), sum("gone"));
        let rows = self.rows.iter().map(|row| (&row.labels, row.shown));
        let rows = rows.chain([(&other, self.other), (&gone, self.gone)]);
        let rows: Vec<_> = rows.collect();
        for family in FAMILIES.iter() {
            family.encode(text, &rows);
        }
        self.encode_gauges(text, stats, &other);
        let unlisted = stats.other.as_ref().map_or(0, |other| other.processes);
        let alive = stats.processes.len() as u64 + unlisted;
        text.single(&ALIVE, Some(Value::Count(alive)));
        text.single(&ENDED, stats.exited.processes.map(Value::Count));
        text.single(&ALL_CPU, self.total.cpu_ns.map(Value::Nanos));
    }

    fn encode_gauges(&self, text: &mut Text, stats: &ProcessStats, other: &Written) {
        let mut unshown = self.listed.clone();
        for row in &self.rows {
            unshown.remove(&row.process);
        }
        let unshown = unshown.gauges();
        let unlisted = stats.other.as_ref().map(gauges_of_others);
        let unlisted = unlisted.unwrap_or_default();
        for (index, family) in GAUGE_FAMILIES.iter().enumerate() {
            let rows = self.rows.iter();
            let rows = rows.map(|row| (&row.labels, gauges_of(&row.process)[index]));
            let others = unshown[index].into_iter().chain(unlisted[index]);
            let others = others.reduce(u64::saturating_add);
            let mut begun = false;
            for (labels, value) in rows.chain([(other, others)]) {
                let Some(value) = value else { continue };
                if !begun {
                    text.begin(family.name, family.kind, family.help);
                    begun = true;
                }
                text.row(family.name, labels, None, Value::Count(value));
            }
        }
    }
}

fn labels(process: &Process) -> Written {
    Written::new([("pid", &*process.pid.to_string()), ("comm", &process.comm)])
}

#[cfg(test)]
#[path = "process_stats_tests.rs"]
mod tests;
