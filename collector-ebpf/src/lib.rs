//! The records that the eBPF programs of `collector` share with user space.
//!
//! Both sides are built from these definitions, so the layouts agree. All
//! records hold only integers, have no padding, and are aligned to 8 bytes.
//! With the feature `user` they are `aya::Pod`.
#![no_std]

mod cpu;
mod cpu_offsets;
mod cpu_reading;
mod event;
mod histogram;
mod offsets;
#[cfg(feature = "user")]
mod pod;
mod preemption;
mod sleep;
mod task_entry;
mod thread;

pub use cpu::{Cpu, CpuCounters, Durations, Latency};
pub use cpu_offsets::{CpuOffsets, IDLE_IN_CPUSTAT, IDLE_IN_TICK_SCHED, IDLE_TICK_ACCOUNTED};
pub use cpu_reading::{CPU_STATES, CPUS_PER_RUN, CPUS_SKIPPED_PER_RUN, CpuReading};
pub use event::{
    ARGV_MAX, CgroupMoveEvent, EVENT_CGROUP_MOVE, EVENT_EXEC, EVENT_FORK, EVENT_THREAD_END,
    EventHeader, ExecEvent, ExecInfo, FILENAME_MAX, ForkEvent, ThreadEndEvent,
};
pub use histogram::{BUCKETS, bucket_bounds, bucket_of};
pub use offsets::{ABSENT, Field, OFFSETS, Offsets, PLACEHOLDERS, placeholder};
pub use preemption::{PREEMPTIONS_MAX, Preemption};
pub use sleep::{FOUND_ASLEEP, is_uninterruptible, sleeps};
pub use task_entry::TaskEntry;
pub use thread::{
    GROUP_DEAD, KERNEL_THREAD, NO_SLOT, ON_CPU_WHEN_FOUND, THREAD_DEAD, THREAD_FREE, THREAD_LIVE,
    Thread,
};

/// The length of a command name with its terminating zero: the kernel's
/// `TASK_COMM_LEN`, which is part of its interface to user space.
pub const COMM_LEN: usize = 16;

/// The number of threads that one element of the map `DIRTY` has a byte for.
pub const DIRTY_PAGE: usize = 4096;
