//! The records that the eBPF programs of `collector` share with user space.
//!
//! Both sides are built from these definitions, so the layouts agree. All
//! records hold only integers, have no padding, and are aligned to 8 bytes.
#![no_std]

mod cpu;
mod cpu_offsets;
mod cpu_reading;
mod event;
mod histogram;
mod offsets;
mod preemption;
mod sleep;
mod task_entry;
mod thread;

pub use cpu::{Cpu, CpuCounters, Durations, Latency};
pub use cpu_offsets::{CpuOffsets, IDLE_COUNTED, IDLE_IN_CPUSTAT, IDLE_IN_TICK_SCHED};
pub use cpu_reading::{CPU_STATES, CPUS_A_RUN, CPUS_PASSED_OVER, CpuReading};
pub use event::{
    ARGV_MAX, CgroupMoveEvent, EVENT_CGROUP_MOVE, EVENT_EXEC, EVENT_FORK, EVENT_THREAD_END,
    EventHeader, ExecEvent, FILENAME_MAX, ForkEvent, ThreadEndEvent,
};
pub use histogram::{BUCKETS, bucket_bounds, bucket_of};
pub use offsets::{ABSENT, Field, OFFSETS, Offsets, PLACEHOLDERS, placeholder};
pub use preemption::{PREEMPTIONS_MAX, Preemption};
pub use sleep::{FOUND_ASLEEP, is_uninterruptible, sleeps};
pub use task_entry::TaskEntry;
pub use thread::{
    GROUP_DEAD, KERNEL_THREAD, NO_THREAD, THREAD_DEAD, THREAD_FREE, THREAD_LIVE, Thread, UNSEEN,
};

/// The length of a task's name with its final zero: the kernel's
/// `TASK_COMM_LEN`, which is part of its interface to user space.
pub const COMM_LEN: usize = 16;

/// How many threads one element of the map `TOUCHED` has a byte for.
pub const TOUCHED_PAGE: usize = 4096;
