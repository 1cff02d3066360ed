//! Helpers shared by the integration tests.

mod agent;
mod cgroup;
mod child;
mod crowd;
mod fork;
mod held_memory;
mod identity;
mod kernel_clock;
mod proc_task;
mod recorder;
mod rusage;
mod thread;
mod vm;
mod wait;

pub use agent::agent;
pub use cgroup::TestCgroup;
pub use child::{Child, Usage, burn_cpu_ms, helper};
pub use crowd::Crowd;
pub use fork::fork;
pub use held_memory::{HeldMemory, hold_memory};
pub use identity::{Identity, Who};
pub use kernel_clock::{cpu_clock_ns, cpu_clock_step_ns, emulation_slack_ns, schedstat};
pub use proc_task::{ProcTask, tasks_made, threads_of_the_host};
pub use recorder::{EventRecorder, Recorded, Recording};
pub use rusage::children_cpu_ns;
pub use thread::{raw_thread, raw_vfork};
pub use vm::{here_or_emulated, is_guest};
pub use wait::wait_until;
