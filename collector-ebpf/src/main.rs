//! The eBPF programs of `collector`: one on each hook, `tp_btf` on the
//! scheduler's and the process tracepoints, and an iterator over all tasks.
//!
//! - [`switch`]: `sched_switch`, where time is charged.
//! - [`unseen_fork`], [`last_switch`]: the first switch-out of a thread whose
//!   fork was not seen, and the last one of each thread.
//! - [`clock`]: the time of a switch.
//! - [`wakeup`]: `sched_wakeup`, `sched_wakeup_new`, where a run-queue wait
//!   starts.
//! - [`lifecycle`]: `sched_process_fork`, `_exec`, `_exit`.
//! - [`preempt`]: preemptions between cgroups, called by `switch`.
//! - [`cgroup`][]: `cgroup_attach_task`.
//! - [`iter`]: tasks that existed before the programs, and fields that change
//!   slowly.
//! - [`record`]: the record of a task, and how it is assigned.
//! - [`field`]: reading fields of kernel structures.
//! - [`read_cpus`]: the kernel's own accounting of each CPU, on request of user
//!   space.
//!
//! Time is charged to threads. The record of a thread is written only by the
//! CPU that switches the thread in or out, or that wakes it. User space maps the
//! records into its memory, adds threads up to processes, and owns the list of
//! free records. See `docs/architecture.md`.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![expect(
    internal_features,
    reason = "the target has no compare-and-swap, so core's atomics cannot add; the intrinsic can"
)]
#![expect(
    clippy::inline_always,
    reason = "a call between functions of a program costs more than most of these functions, \
              and the verifier tracks pointers to kernel structures less well across calls"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "the program macros pass the context by value"
)]

mod cgroup;
mod clock;
mod counter;
mod debug;
mod field;
mod iter;
mod last_switch;
mod lifecycle;
mod maps;
mod preempt;
mod read_cpus;
mod record;
mod switch;
mod task;
mod unseen_fork;
mod wakeup;

/// Some helpers may be called by programs under a GPL-compatible license only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Unreachable: a test asserts that the object has no call to it.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
