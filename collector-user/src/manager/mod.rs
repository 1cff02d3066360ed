//! The consumers that ship with the agent. Each is a subscriber like any other.

mod changes;
mod hardware;
mod metrics;

pub use changes::{Change, changes};
pub use hardware::HardwareManager;
#[cfg(feature = "prometheus")]
pub(crate) use metrics::Held;
pub use metrics::{MetricsManager, Unhealthy};
