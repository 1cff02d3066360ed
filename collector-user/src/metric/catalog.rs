use super::{CATALOG, MetricInfo, Reading};

/// Declares the readings: exports each, and makes the catalogue of their
/// metrics.
macro_rules! readings {
    ($(pub use $module:ident::$reading:ident;)+) => {
        $(pub use $module::$reading;)+

        /// Every metric that this build knows, by tier and name.
        pub const CATALOG: &[&MetricInfo] = &[$(&<$reading as Reading>::METRIC),+];

        /// The declarations of the fields of those metrics.
        pub const SCHEMAS: &[Option<&'static MetricSchema>] =
            &[$(<$reading as Reading>::SCHEMA),+];

        /// Visits the type of each reading of the catalogue.
        pub fn visit_readings(visitor: &mut impl ReadingVisitor) {
            $(visitor.visit::<$reading>();)+
        }
    };
}
pub(super) use readings;

/// What is done for the type of each reading: see
/// [`visit_readings`](super::visit_readings).
pub trait ReadingVisitor {
    /// Called once for each type.
    fn visit<R: Reading>(&mut self);
}

/// The metric of this name.
pub fn find(name: &str) -> Option<&'static MetricInfo> {
    CATALOG.iter().copied().find(|metric| metric.name == name)
}

/// There is no metric of this name; the message suggests the nearest one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no metric {name:?}{} the metrics are {}",
    meant(name),
    names()
)]
pub struct UnknownMetric {
    /// The unknown name.
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

/// The candidate nearest to `word` by Jaro-Winkler similarity, if one is near.
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
