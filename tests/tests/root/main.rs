//! Tests that need root and load the programs into the running kernel.
//!
//! The state of the kernel is shared, so they run one at a time:
//! `--test-threads=1`. `cargo xtask test-vm` runs them in virtual machines.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends with a sentence"
)]

mod accounting;
mod attaching;
mod blocked_reads;
mod busy;
mod cgroups;
mod conservation;
mod cpu_times;
mod doctor;
mod events;
mod helpers;
mod hotplug;
mod in_flight;
mod kernel_threads;
mod latency;
mod limits;
mod map_memory;
mod missing;
mod names;
mod namespaces;
mod opens;
mod overflow;
mod parity;
mod pid_reuse;
mod records;
mod runqlat;
mod short_lived;
mod sleep;
mod stopped;
mod support;
mod threads;
mod trees;
mod vfork;
mod zombies;

use support::load;
