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
mod conservation;
mod doctor;
mod events;
mod helpers;
mod latency;
mod missing;
mod opens;
mod parity;
mod runqlat;
mod stopped;

use collector::source::ebpf::{LoadOptions, Scheduler};

/// The programs, loaded and attached.
fn load() -> Scheduler {
    match Scheduler::load(&LoadOptions::default()) {
        Ok(scheduler) => scheduler,
        Err(error) => panic!("{error}"),
    }
}
