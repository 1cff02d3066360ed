//! Series of cgroups and of preemptions between them: a bounded number each.

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
};

use super::{
    derived::{self, DerivedFamily},
    sticky::Sticky,
    text::{Family, Text, Value, Written},
};
use crate::metric::{
    Cgroup, HasProcessCounters as _, Preemption, ProcessCounters, schema::Record as _,
};

const PROCESSES: Family = Family::gauge("host_cgroup_processes", "Processes in a cgroup.");
const PREEMPTIONS: Family = Family::counter(
    "host_cgroup_preemptions_total",
    "Preemptions of tasks of one cgroup by tasks of another.",
);

/// The key of a cgroup: one that is created anew at the same path is another.
type Key = (Option<u64>, Arc<str>);
/// The preempted and the preempting cgroup.
type Pair = (Arc<str>, Arc<str>);

/// The families of the counters of a cgroup.
static FAMILIES: LazyLock<Vec<DerivedFamily>> =
    LazyLock::new(|| derived::families(&ProcessCounters::INFO, "host_cgroup"));

/// The rows, from reading to reading. Only a new reading changes them.
#[derive(Debug)]
pub(super) struct CgroupFamilies {
    cgroups: Sticky<Key>,
    /// The rows of the last reading, followed by the sums.
    rows: Vec<Row>,
    /// The last reading, to detect an unchanged one.
    reading: Vec<Arc<Cgroup>>,
    pairs: Sticky<Pair>,
    pair_rows: Vec<(Written, Option<u64>)>,
}

/// The series of one cgroup.
#[derive(Debug)]
struct Row {
    labels: Written,
    counters: ProcessCounters,
    processes: Option<u64>,
}

impl CgroupFamilies {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            cgroups: Sticky::new(limit),
            rows: Vec::new(),
            reading: Vec::new(),
            pairs: Sticky::new(limit),
            pair_rows: Vec::new(),
        }
    }

    /// Processes the cgroups of a reading.
    pub(super) fn observe(&mut self, cgroups: &[Arc<Cgroup>]) {
        let is_same = self.reading.len() == cgroups.len()
            && self
                .reading
                .iter()
                .zip(cgroups)
                .all(|(a, b)| Arc::ptr_eq(a, b));
        if is_same && !self.rows.is_empty() {
            return;
        }
        let counters = cgroups.iter().map(|row| row.process_counters());
        let total = counters.reduce(ProcessCounters::plus).unwrap_or_default();
        let mut named: Vec<(bool, Key, &Cgroup)> = cgroups
            .iter()
            .filter_map(|row| {
                let key = (row.id, Arc::clone(row.path.as_ref()?));
                Some((self.cgroups.shown(&key).is_some(), key, &**row))
            })
            .collect();
        // Cgroups that have a row keep it; then those with the most CPU time.
        named.sort_by_key(|(is_shown, _, row)| std::cmp::Reverse((*is_shown, row.cpu_ns)));
        // Two rows with the same path would be the same series.
        let mut paths = HashSet::new();
        named.retain(|(_, (_, path), _)| paths.insert(Arc::clone(path)));
        let now = named.iter();
        let now = now.map(|(_, key, row)| (key.clone(), row.process_counters()));
        self.cgroups.update(now.collect(), total);

        let rows = named.iter().filter_map(|(_, key, row)| {
            Some(Row {
                counters: self.cgroups.shown(key)?,
                labels: labels(row),
                processes: Some(row.processes),
            })
        });
        let mut rows: Vec<Row> = rows.collect();
        let processes: u64 = cgroups.iter().map(|row| row.processes).sum();
        let shown: u64 = rows.iter().filter_map(|row| row.processes).sum();
        rows.push(Row {
            labels: Written::new([("cgroup", "other")]),
            counters: self.cgroups.other,
            processes: Some(processes.saturating_sub(shown)),
        });
        rows.push(Row {
            labels: Written::new([("cgroup", "gone")]),
            counters: self.cgroups.gone,
            processes: None,
        });
        self.rows = rows;
        self.reading = cgroups.to_vec();
    }

    /// Processes the preemptions of a reading; `None` if it has none.
    pub(super) fn observe_preemptions(&mut self, rows: Option<&[Preemption]>) {
        let Some(rows) = rows else {
            self.pair_rows.clear();
            return;
        };
        let count = |count| {
            // Any counter will do: only one number is counted.
            ProcessCounters {
                cpu_ns: Some(count),
                ..ProcessCounters::default()
            }
        };
        let total = count(rows.iter().map(|row| row.count).sum());
        let mut rows: Vec<&Preemption> = rows.iter().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.count));
        // A path that is reused has a new ID, so a pair may be listed twice.
        let mut seen = HashSet::new();
        let now: Vec<(Pair, ProcessCounters)> = rows
            .iter()
            .filter_map(|row| {
                let pair = (row.victim.clone()?, row.preemptor.clone()?);
                seen.insert(pair.clone()).then(|| (pair, count(row.count)))
            })
            .collect();
        let pairs: Vec<Pair> = now.iter().map(|(pair, _)| pair.clone()).collect();
        self.pairs.update(now, total);
        let written = |victim: &str, preemptor: &str, counters: ProcessCounters| {
            let labels = Written::new([("victim", victim), ("preemptor", preemptor)]);
            (labels, counters.cpu_ns)
        };
        let rows = pairs.iter().filter_map(|pair| {
            let shown = self.pairs.shown(pair)?;
            Some(written(&pair.0, &pair.1, shown))
        });
        let sums = [("other", self.pairs.other), ("gone", self.pairs.gone)];
        let sums = sums.map(|(name, counters)| written(name, name, counters));
        self.pair_rows = rows.chain(sums).collect();
    }

    /// Writes the series of the cgroups of the last reading.
    pub(super) fn encode(&self, text: &mut Text) {
        let rows = self.rows.iter().map(|row| (&row.labels, row.counters));
        let rows: Vec<_> = rows.collect();
        for family in FAMILIES.iter() {
            family.encode(text, &rows);
        }
        let processes = self.rows.iter().map(|row| (&row.labels, row.processes));
        single_values(text, &PROCESSES, &processes.collect::<Vec<_>>());
    }

    /// Writes the series of the preemptions of the last reading.
    pub(super) fn encode_preemptions(&self, text: &mut Text) {
        let rows = self.pair_rows.iter();
        let rows = rows.map(|(labels, count)| (labels, *count));
        single_values(text, &PREEMPTIONS, &rows.collect::<Vec<_>>());
    }
}

fn single_values(text: &mut Text, family: &Family, rows: &[(&Written, Option<u64>)]) {
    let mut begun = false;
    for (labels, value) in rows {
        let Some(value) = *value else { continue };
        if !begun {
            text.begin(family.name, family.kind, family.help);
            begun = true;
        }
        text.row(family.name, labels, None, Value::Count(value));
    }
}

fn labels(row: &Cgroup) -> Written {
    let container = row.container.as_deref();
    let container_id = container.and_then(|of| of.container_id.as_deref());
    let pod_uid = container.and_then(|of| of.pod_uid.as_deref());
    let ids = [("container_id", container_id), ("pod_uid", pod_uid)];
    let ids = ids.into_iter().filter_map(|(name, id)| Some((name, id?)));
    let path = row.path.as_deref().unwrap_or("");
    Written::new(std::iter::once(("cgroup", path)).chain(ids))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{CgroupKind, PreemptionKind};

    const SECOND: u64 = 1_000_000_000;

    fn row(id: u64, path: &str, cpu_s: u64) -> Arc<Cgroup> {
        Arc::new(Cgroup {
            id: Some(id),
            path: Some(path.into()),
            processes: 2,
            cpu_ns: Some(cpu_s * SECOND),
            ..Cgroup::default()
        })
    }

    fn encoded(families: &mut CgroupFamilies, rows: &[Arc<Cgroup>]) -> String {
        let mut text = Text::default();
        families.observe(rows);
        families.encode(&mut text);
        text.finish()
    }

    #[test]
    fn the_busiest_have_a_row_and_the_rest_is_other() {
        let mut families = CgroupFamilies::new(1);
        let removed = Arc::new(Cgroup {
            kind: CgroupKind::Removed,
            cpu_ns: Some(SECOND),
            ..Cgroup::default()
        });
        let id = "a".repeat(64);
        let container = format!("/docker/{id}");
        let mut busy = Cgroup::clone(&row(2, &container, 7));
        busy.container = crate::accounting::cgroup::container_of(&container).map(Arc::new);
        let text = encoded(&mut families, &[row(1, "/a", 4), Arc::new(busy), removed]);
        let busy = format!("{{cgroup=\"{container}\",container_id=\"{id}\"}} 7");
        assert!(text.contains(&busy), "{text}");
        assert!(text.contains("host_cgroup_cpu_seconds_total{cgroup=\"other\"} 5"));
        assert!(text.contains("host_cgroup_processes{cgroup=\"other\"} 2"));
        assert!(!text.contains("\"/a\""));
    }

    #[test]
    fn a_cgroup_that_is_made_anew_is_another() {
        let mut families = CgroupFamilies::new(4);
        encoded(&mut families, &[row(1, "/a", 4)]);
        // For a while both exist: one path is one series.
        let text = encoded(&mut families, &[row(1, "/a", 4), row(2, "/a", 9)]);
        assert!(text.contains("{cgroup=\"/a\"} 4"), "{text}");
        assert_eq!(text.matches("cpu_seconds_total{cgroup=\"/a\"}").count(), 1);
        let text = encoded(&mut families, &[row(2, "/a", 10)]);
        assert!(text.contains("{cgroup=\"gone\"} 4"), "{text}");
    }

    #[test]
    fn pairs_without_a_name_are_other() {
        let mut families = CgroupFamilies::new(4);
        let pair = |victim: Option<&str>, count| Preemption {
            kind: PreemptionKind::Pair,
            victim: victim.map(Into::into),
            preemptor: Some("/b".into()),
            count,
            ..Preemption::default()
        };
        let mut text = Text::default();
        let pairs = [pair(Some("/a"), 3), pair(None, 4)];
        families.observe_preemptions(Some(&pairs));
        families.encode_preemptions(&mut text);
        let text = text.finish();
        assert!(
            text.contains("{victim=\"/a\",preemptor=\"/b\"} 3"),
            "{text}"
        );
        assert!(
            text.contains("{victim=\"other\",preemptor=\"other\"} 4"),
            "{text}"
        );
    }
}
