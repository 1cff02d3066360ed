use serde::{Deserialize, Serialize};

/// What begins collections, and what they share. All modes but
/// [`Bus`](Self::Bus) exist to be measured beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The bus begins it; all subscribers share it, and metrics that are due
    /// together share what they read.
    #[default]
    Bus,
    /// The subscriber that is due begins it, unless the last reading is
    /// younger than its interval; then it gets that. Metrics share nothing.
    Cache,
    /// Each subscriber, and each snapshot, begins its own, and nothing is
    /// shared. A metric has one collector, so these collections are serialized.
    Independent,
}
