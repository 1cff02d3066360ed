use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext};

use collector_ebpf::ON_CPU_WHEN_FOUND;

use crate::{
    counter::{add_one, this_cpu},
    field::{Kernel, field},
    maps::{CPUS, THREADS},
    record::{mark_dirty, slot_of},
    switch::{count_sleep, elapsed},
};

/// A sleeping task is woken.
///
/// Attached only where the kernel does not count the run-queue wait of a task
/// (`run_delay`), because a program on each wakeup costs as much as the switch
/// program.
///
/// Also fires for a task that was about to sleep and has not been switched out
/// yet; then there is no wait to be measured.
#[btf_tracepoint(function = "sched_wakeup")]
pub(crate) fn sched_wakeup(ctx: BtfTracePointContext) -> i32 {
    wake(ctx.arg(0), false);
    0
}

/// A new task is woken for the first time.
#[btf_tracepoint(function = "sched_wakeup_new")]
pub(crate) fn sched_wakeup_new(ctx: BtfTracePointContext) -> i32 {
    wake(ctx.arg(0), true);
    0
}

/// Records the end of a sleep. From its wakeup on, a task is accounted like a
/// preempted one: it waits on a run queue.
#[inline(always)]
fn wake(task: *const Kernel, is_new: bool) {
    let Some(cpu) = this_cpu() else {
        return;
    };
    // SAFETY: the pointer is to this CPU's element. A task that wakes itself
    // does so with interrupts enabled, and may be interrupted by another wakeup.
    unsafe { add_one(&raw mut (*cpu).counters.wakeups) };
    let slot = slot_of(task, field!(task, task_pid: u32));
    let Some(thread) = THREADS.get_ptr_mut(slot) else {
        return;
    };
    // SAFETY: the pointer is to an element.
    let (left_at_ns, state) = unsafe { ((*thread).left_at_ns, (*thread).task_state) };
    let was_waiting_for_wakeup = if is_new {
        left_at_ns == 0
    } else {
        !matches!(left_at_ns, 0 | ON_CPU_WHEN_FOUND) && state != 0 && !is_on_cpu(task)
    };
    if !was_waiting_for_wakeup {
        return;
    }
    // SAFETY: the pointers are to elements. The task is not on a CPU, and is
    // woken with interrupts disabled and its run queue locked
    // (`ttwu_do_activate`, `wake_up_new_task` of `kernel/sched/core.c`): so
    // nothing else writes its record before it is switched in, nor this CPU's
    // element.
    let (cpu, thread) = unsafe { (&mut *cpu, &mut *thread) };
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_ns() };
    if !is_new {
        let slept = elapsed(left_at_ns, now);
        count_sleep(&mut cpu.counters, &mut cpu.latency, thread, slept);
    }
    thread.left_at_ns = now;
    thread.task_state = 0;
    mark_dirty(&cpu.counters, thread, slot);
}

/// Whether a task is on a CPU: it has not been switched out yet, and so is not
/// asleep.
#[inline(always)]
fn is_on_cpu(task: *const Kernel) -> bool {
    let Some(cpu) = CPUS.get_ptr(field!(task, task_cpu: u32)) else {
        return false;
    };
    // SAFETY: the pointer is to an element. It may be another CPU's, which
    // writes the field; but the task itself is neither switched in nor out
    // meanwhile, because its waker holds the lock that this takes.
    let current = unsafe { (&raw const (*cpu).counters.task).read_volatile() };
    current == task as u64
}
