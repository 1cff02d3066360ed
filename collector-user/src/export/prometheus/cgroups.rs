//! Series of cgroups, and of pairs of them, of which there are at most a fixed
//! number each.

use std::{collections::HashSet, sync::Arc};

use super::{
    rows::Counters,
    sticky::Sticky,
    text::{Family, Text, Value},
};
use crate::metric::{Cgroup, Preemption};

const CPU: Family = Family::counter(
    "host_cgroup_cpu_seconds_total",
    "Time on a CPU of the processes in a cgroup, alive and ended.",
);
const MODES: Family = Family::counter(
    "host_cgroup_cpu_mode_seconds_total",
    "Time on a CPU of the processes in a cgroup, by the mode that it was in.",
);
const WAIT: Family = Family::counter(
    "host_cgroup_runqueue_wait_seconds_total",
    "Time in which a thread of a cgroup could run and waited for a CPU.",
);
const SWITCHES: Family = Family::counter(
    "host_cgroup_switches_total",
    "Context switches of the threads of a cgroup, by why.",
);
const PROCESSES: Family = Family::gauge("host_cgroup_processes", "Processes in a cgroup.");
const PREEMPTIONS: Family = Family::counter(
    "host_cgroup_preemptions_total",
    "How often a task of a cgroup lost its CPU to one of another while it could have gone on.",
);

/// A cgroup of a scrape: one that is made anew at the same path is another.
type Key = (Option<u64>, Arc<str>);
/// Who lost a CPU, and who got it.
type Pair = (Arc<str>, Arc<str>);

/// What is remembered from scrape to scrape.
#[derive(Debug)]
pub(super) struct CgroupFamilies {
    cgroups: Sticky<Key>,
    pairs: Sticky<Pair>,
}

impl CgroupFamilies {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            cgroups: Sticky::new(limit),
            pairs: Sticky::new(limit),
        }
    }

    pub(super) fn encode(&mut self, text: &mut Text, cgroups: &[Arc<Cgroup>]) {
        let counters = cgroups.iter().map(|row| Counters::of_cgroup(row));
        let total = counters.reduce(Counters::plus).unwrap_or_default();
        let mut named: Vec<(Key, &Cgroup)> = cgroups
            .iter()
            .filter_map(|row| Some(((row.id, Arc::clone(row.path.as_ref()?)), &**row)))
            .collect();
        // The busiest get a row first; who has one keeps it.
        named.sort_by_key(|(key, row)| {
            std::cmp::Reverse((self.cgroups.shown(key).is_some(), row.cpu_ns))
        });
        // Two rows with one path would be one series.
        let mut paths = HashSet::new();
        named.retain(|((_, path), _)| paths.insert(Arc::clone(path)));
        let now: Vec<_> = named
            .iter()
            .map(|(key, row)| (key.clone(), Counters::of_cgroup(row)))
            .collect();
        self.cgroups.update(&now, total);

        let rows = named.iter().filter_map(|(key, row)| {
            let counters = self.cgroups.shown(key)?;
            Some((labels(row), counters, Some(row.processes)))
        });
        let mut rows: Vec<_> = rows.collect();
        let processes: u64 = cgroups.iter().map(|row| row.processes).sum();
        let shown: u64 = rows.iter().filter_map(|(_, _, processes)| *processes).sum();
        let sum = |name: &str| [("cgroup", name.to_owned())].to_vec();
        let others = processes.saturating_sub(shown);
        rows.push((sum("other"), self.cgroups.other, Some(others)));
        rows.push((sum("gone"), self.cgroups.gone, None));

        let mut family =
            |family: &Family, unit: fn(u64) -> Value, values: &[(usize, [&'static str; 2])]| {
                let series = rows.iter().flat_map(|(labels, counters, _)| {
                    values.iter().map(move |(index, [label, value])| {
                        let mut labels = labels.clone();
                        if !label.is_empty() {
                            labels.push((label, (*value).to_owned()));
                        }
                        (labels, counters.0[*index].map(unit))
                    })
                });
                text.family(family, series);
            };
        family(&CPU, Value::Nanos, &[(2, ["", ""])]);
        family(
            &MODES,
            Value::Nanos,
            &[(0, ["mode", "user"]), (1, ["mode", "system"])],
        );
        family(&WAIT, Value::Nanos, &[(3, ["", ""])]);
        let reasons = [(5, ["reason", "voluntary"]), (6, ["reason", "involuntary"])];
        family(&SWITCHES, Value::Count, &reasons);
        let gauge = rows.iter();
        let gauge =
            gauge.map(|(labels, _, processes)| (labels.clone(), processes.map(Value::Count)));
        text.family(&PROCESSES, gauge);
    }

    pub(super) fn encode_preemptions(&mut self, text: &mut Text, rows: &[Preemption]) {
        let count = |count| {
            let mut counters = Counters::default();
            counters.0[0] = Some(count);
            counters
        };
        let total = count(rows.iter().map(|row| row.count).sum());
        let mut rows: Vec<&Preemption> = rows.iter().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.count));
        // A path that is used again has a new number and maybe a pair twice.
        let mut seen = HashSet::new();
        let now: Vec<(Pair, Counters)> = rows
            .iter()
            .filter_map(|row| {
                let pair = (row.victim.clone()?, row.preemptor.clone()?);
                seen.insert(pair.clone()).then(|| (pair, count(row.count)))
            })
            .collect();
        self.pairs.update(&now, total);
        let series = now.iter().filter_map(|((victim, preemptor), _)| {
            let key = (Arc::clone(victim), Arc::clone(preemptor));
            let shown = self.pairs.shown(&key)?;
            Some((victim.to_string(), preemptor.to_string(), shown))
        });
        let sums = [("other", self.pairs.other), ("gone", self.pairs.gone)];
        let sums = sums.map(|(name, counters)| (name.to_owned(), name.to_owned(), counters));
        let series = series.chain(sums).map(|(victim, preemptor, counters)| {
            let labels = [("victim", victim), ("preemptor", preemptor)];
            (labels, counters.0[0].map(Value::Count))
        });
        text.family(&PREEMPTIONS, series);
    }
}

fn labels(row: &Cgroup) -> Vec<(&'static str, String)> {
    let mut labels = vec![("cgroup", row.path.as_deref().unwrap_or("").to_owned())];
    if let Some(container) = &row.container {
        for (name, value) in [
            ("container_id", &container.container_id),
            ("pod_uid", &container.pod_uid),
        ] {
            labels.extend(value.as_ref().map(|value| (name, value.to_string())));
        }
    }
    labels
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
        families.encode(&mut text, rows);
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
        busy.container = crate::source::cgroup::container_of(&container).map(Arc::new);
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
        // For a while both are there: one path is one series.
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
        families.encode_preemptions(&mut text, &[pair(Some("/a"), 3), pair(None, 4)]);
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
