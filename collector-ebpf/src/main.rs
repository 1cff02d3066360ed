//! The eBPF programs of `collector`: one on each hook, `tp_btf` on the
//! scheduler's and the process tracepoints, and an iterator over all tasks.
//!
//! - [`switch`]: `sched_switch`, where time is charged.
//! - [`begin`], [`end`]: the first and the last switch of a thread.
//! - [`clock`]: the time of a switch.
//! - [`wakeup`]: `sched_wakeup`, `sched_wakeup_new`, where a wait begins.
//! - [`lifecycle`]: `sched_process_fork`, `_exec`, `_exit`.
//! - [`preempt`]: who lost a CPU to whom, called by `switch`.
//! - [`cgroup`][]: `cgroup_attach_task`.
//! - [`iter`]: the tasks that were there before, and what changes slowly.
//! - [`record`]: which record a task has, and how it gets one.
//! - [`field`]: how the kernel's structures are read.
//! - [`read_cpus`]: what the kernel knows of each CPU, when user space asks.
//!
//! Time is charged to threads, each with a record that only the CPU it leaves
//! or gets, or that wakes it, writes to. User space maps the records into its
//! memory, adds threads up to processes, and gives records away and takes them
//! back. See `docs/architecture.md`.
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
              and the verifier follows pointers to kernel structures through them less well"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "the macros of the programs give the context by value"
)]

mod begin;
mod cgroup;
mod clock;
mod counter;
mod debug;
mod end;
mod field;
mod iter;
mod lifecycle;
mod maps;
mod preempt;
mod read_cpus;
mod record;
mod switch;
mod task;
mod wakeup;

/// The verifier wants to know what the programs may call: some helpers are for
/// programs under the GPL only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// No path leads here: a test asserts that the object holds no call to it.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
