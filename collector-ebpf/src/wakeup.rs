use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    counter::this_cpu,
    field::{Kernel, field},
    maps::THREADS,
    record::{mark, thread_of},
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

#[inline(always)]
fn woken(task: *const Kernel, is_new: bool) {
    let Some(cpu) = this_cpu() else {
        return;
    };
    // SAFETY: the pointer is to this CPU's element; both programs run with
    // interrupts off.
    let cpu = unsafe { &mut (*cpu).counters };
    cpu.wakeups += 1;
    let index = thread_of(task, field!(task, task_pid: u32));
    let Some(thread) = THREADS.get_ptr_mut(index) else {
        return;
    };
    // SAFETY: the pointer is to an element; the task is not on a CPU, and the
    // lock under which it is woken keeps other wakers and CPUs away.
    let thread = unsafe { &mut *thread };
    let is_off = thread.left_at_ns != 0 && thread.task_state != 0;
    if thread.woken_at_ns == 0 && (is_new || is_off) {
        // SAFETY: the helper has no precondition.
        thread.woken_at_ns = unsafe { bpf_ktime_get_ns() };
        mark(cpu, thread, index);
    }
}
