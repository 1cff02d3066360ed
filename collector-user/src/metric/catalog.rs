use super::{
    CpuInfo, CpuStats, DiskInfo, LoadAvg, MemoryInfo, MemoryStats, MetricInfo, NetworkInfo,
    ProcessEvent, ProcessStats, Reading, SchedLatency, SystemInfo,
};

/// Every metric that this version knows, by tier and name.
pub const CATALOG: &[&MetricInfo] = &[
    &CpuInfo::METRIC,
    &DiskInfo::METRIC,
    &MemoryInfo::METRIC,
    &NetworkInfo::METRIC,
    &SystemInfo::METRIC,
    &LoadAvg::METRIC,
    &MemoryStats::METRIC,
    &CpuStats::METRIC,
    &ProcessEvent::METRIC,
    &ProcessStats::METRIC,
    &SchedLatency::METRIC,
];

/// The metric of this name.
pub fn find(name: &str) -> Option<&'static MetricInfo> {
    CATALOG.iter().copied().find(|metric| metric.name == name)
}

/// Why a name is not that of a metric, and which was perhaps meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no metric {name:?}{} the metrics are {}",
    meant(name),
    names()
)]
pub struct UnknownMetric {
    /// The name that was asked for.
    pub name: String,
}

fn meant(name: &str) -> String {
    nearest(name, CATALOG.iter().map(|metric| metric.name)).map_or_else(
        || ":".to_owned(),
        |near| format!("; did you mean {near}? If not:"),
    )
}

fn names() -> String {
    let names: Vec<&str> = CATALOG.iter().map(|metric| metric.name).collect();
    names.join(", ")
}

/// The candidate that is most like `word`, if one is like it at all.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const ALIKE: f64 = 0.8;
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest_one() {
        let error = UnknownMetric {
            name: "proces_stats".to_owned(),
        };
        let text = error.to_string();
        assert!(text.contains("did you mean process_stats?"), "{text}");
        assert!(text.contains("cpu_stats, process_events"), "{text}");
    }

    #[test]
    fn a_name_like_no_other_gets_no_guess() {
        assert_eq!(nearest("zzz", ["cpu_stats"]), None);
    }

    #[test]
    fn the_catalog_is_sorted_and_names_nothing_twice() {
        let keys: Vec<_> = CATALOG.iter().map(|m| (m.tier, m.name)).collect();
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(keys, sorted);
    }
}
