use serde::Serialize;

/// The cost of one mode, per minute.
#[derive(Debug, Serialize)]
pub(super) struct ModeCost {
    pub(super) mode: &'static str,
    pub(super) collections: f64,
    pub(super) opens: f64,
    pub(super) reads: f64,
    pub(super) reads_saved: f64,
    pub(super) read_bytes: f64,
    /// CPU time of this process: collections, deliveries and lifecycle events.
    pub(super) cpu_ms: f64,
}
