//! Helpers shared by the integration tests.

mod agent;
mod child;
mod kernel_clock;
mod recorder;

pub use agent::agent;
pub use child::{Child, Usage, burn_cpu_ms, helper};
pub use kernel_clock::{cpu_clock_ns, cpu_clock_step_ns, emulation_slack_ns, schedstat};
pub use recorder::{EventRecorder, Recorded};
