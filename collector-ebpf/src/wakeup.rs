use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext};

use collector_ebpf::UNSEEN;

use crate::{
    counter::{add_one, this_cpu},
    field::{Kernel, field},
    maps::{CPUS, THREADS},
    record::{mark, thread_of},
    switch::{count_sleep, elapsed},
};

/// A task that slept may run.
///
/// Attached only where the kernel does not count the waits of a task itself:
/// to be run at each wakeup costs as much again as the switch.
///
/// Also fires for a task that was about to sleep and has not left its CPU
/// yet; then there is no wait to be measured.
#[btf_tracepoint(function = "sched_wakeup")]
pub(crate) fn sched_wakeup(ctx: BtfTracePointContext) -> i32 {
    woken(ctx.arg(0), false);
    0
}

/// A task that was just made may run.
#[btf_tracepoint(function = "sched_wakeup_new")]
pub(crate) fn sched_wakeup_new(ctx: BtfTracePointContext) -> i32 {
    woken(ctx.arg(0), true);
    0
}

/// From its wakeup on a task is as if it had been preempted: it waits.
#[inline(always)]
fn woken(task: *const Kernel, is_new: bool) {
    let Some(cpu) = this_cpu() else {
        return;
    };
    // SAFETY: the pointer is to this CPU's element. A task that wakes itself
    // does so with interrupts on, and may be interrupted by another wakeup.
    unsafe { add_one(&raw mut (*cpu).counters.wakeups) };
    let index = thread_of(task, field!(task, task_pid: u32));
    let Some(thread) = THREADS.get_ptr_mut(index) else {
        return;
    };
    // SAFETY: the pointer is to an element.
    let (left_at_ns, state) = unsafe { ((*thread).left_at_ns, (*thread).task_state) };
    let is_due = if is_new {
        left_at_ns == 0
    } else {
        !matches!(left_at_ns, 0 | UNSEEN) && state != 0 && !has_a_cpu(task)
    };
    if !is_due {
        return;
    }
    // SAFETY: the pointers are to elements. The task is on no CPU, and is woken
    // with interrupts off and with its run queue locked (`ttwu_do_activate`,
    // `wake_up_new_task` of `kernel/sched/core.c`): so nothing else writes to
    // its record before it gets a CPU, nor to what is this CPU's.
    let (cpu, thread) = unsafe { (&mut *cpu, &mut *thread) };
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_ns() };
    if !is_new {
        let slept = elapsed(left_at_ns, now);
        count_sleep(&mut cpu.counters, &mut cpu.latency, thread, slept);
    }
    thread.left_at_ns = now;
    thread.task_state = 0;
    mark(&cpu.counters, thread, index);
}

/// Whether a task has a CPU: it has not left that yet, and so does not sleep.
#[inline(always)]
fn has_a_cpu(task: *const Kernel) -> bool {
    let Some(cpu) = CPUS.get_ptr(field!(task, task_cpu: u32)) else {
        return false;
    };
    // SAFETY: the pointer is to an element. It may be another CPU's, which
    // changes the field: the task itself neither gets a CPU nor leaves one
    // meanwhile, since who wakes it holds the lock that this takes.
    let current = unsafe { (&raw const (*cpu).counters.task).read_volatile() };
    current == task as u64
}
