//! Accounting: threads are added up to processes, and processes to cgroups.
//!
//! Pure: no maps, no files, no system calls. Its input are the records of
//! [`collector_ebpf`], lifecycle events and text of `/proc`; its output are
//! readings of [`metric`](crate::metric).
//!
//! - [`Accounts`]: the accounts of the eBPF backend. It has a
//!   [thread table](thread_table) and the [`Processes`](processes), which know
//!   no threads; [`ThreadEnds`](thread_ends) orders exits after the events that
//!   precede them, and [`TaskPass`](task_pass) reconciles the accounts with the
//!   tasks that exist. Calls go from `Accounts` to these, and from `TaskPass` to
//!   `Processes`, and never back.
//! - [`CpuSlice`]: the current task of a CPU, and its time in flight.
//! - [`cgroup`]: the sums of cgroups, for both backends.
//! - [`Preemptions`]: preemptions between cgroups.

mod accounts;
mod available_fields;
pub(crate) mod cgroup;
mod changed;
mod clock;
mod counters;
mod cpu_slice;
mod cpu_time_split;
mod details_queue;
mod exited;
mod handles;
mod in_flight;
mod lifecycle_event;
mod preemptions;
mod proc_details;
mod process_account;
mod process_events;
mod process_key;
mod process_table;
mod processes;
mod published;
mod scheduler_clock;
mod task_pass;
mod task_state;
mod thread_account;
mod thread_ends;
mod thread_table;
mod visited_process;
mod zombies;

pub(crate) use accounts::Accounts;
pub(crate) use available_fields::AvailableFields;
pub(crate) use clock::ClockReading;
use counters::Counters;
pub(crate) use cpu_slice::{CpuSlice, CurrentTask, CurrentThread};
use cpu_time_split::CpuTimeSplit;
pub(crate) use in_flight::RunningThread;
#[cfg(test)]
pub(crate) use lifecycle_event::comm_text;
pub(crate) use lifecycle_event::{Exec, LifecycleEvent};
pub(crate) use preemptions::{CgroupPair, Preemptions};
pub(crate) use proc_details::{DetailsRequest, ProcDetails};
pub(crate) use process_key::ProcessKey;
pub(crate) use scheduler_clock::clock_offset_ns;
