//! Time is charged where a CPU passes from one task to another.
//!
//! What few switches need is in functions of its own, which are not inlined:
//! so the common way is short, and keeps little on the stack. From 64 bytes on
//! kernels since 6.13 give a program a stack apart, which costs at each run
//! ([`a76ab5731e32`](https://git.kernel.org/torvalds/c/a76ab5731e32)).

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use collector_ebpf::{ABSENT, Cpu, CpuCounters, Histogram, NO_THREAD, UNSEEN, bucket_of};

use crate::{
    begin::begin,
    clock::switch_time,
    counter::this_cpu,
    end::end,
    field::{Kernel, field, offset},
    maps::{THREADS, touch},
    preempt::preempted,
    record::{copy_counters, find, look_up},
};

/// `TASK_DEAD` of `include/linux/sched.h`: set once, in `do_task_dead`.
const TASK_DEAD: u32 = 0x80;

/// A CPU passes from one task to another.
///
/// Runs with the run queue locked and interrupts off. By now the scheduler
/// has charged `prev` up to this switch, so its counters are exact.
#[btf_tracepoint(function = "sched_switch")]
pub(crate) fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    let prev: *const Kernel = ctx.arg(1);
    let next: *const Kernel = ctx.arg(2);
    if let Some(cpu) = this_cpu() {
        // SAFETY: the pointer is to this CPU's element, and nothing else runs
        // on this CPU.
        let cpu = unsafe { &mut *cpu };
        let now = switch_time(&mut cpu.counters, prev);
        leave(cpu, prev, next, now);
        enter(&mut cpu.counters, next, now);
    }
    0
}

/// Charges the task that leaves the CPU.
#[inline(always)]
fn leave(cpu: &mut Cpu, prev: *const Kernel, next: *const Kernel, now: u64) {
    let counters = &mut cpu.counters;
    let tid = field!(prev, task_pid: u32);
    // If another task was noted, a switch was not seen: then it is not known
    // since when this one has had the CPU.
    let is_noted = counters.task == prev as u64;
    let began = if is_noted { counters.since_ns } else { 0 };
    if tid == 0 {
        counters.idle_switches += 1;
        if began != 0 {
            counters.idle_ns += elapsed(began, now);
        }
        return;
    }
    let index = if is_noted && counters.thread != NO_THREAD {
        counters.thread
    } else {
        look_up(prev, tid)
    };
    let Some(thread) = THREADS.get_ptr_mut(index) else {
        leave_unknown(counters, prev, now, began);
        return;
    };
    // SAFETY: the pointer is to an element; only this CPU writes to it while
    // the task is leaving.
    let thread = unsafe { &mut *thread };
    let (cpu_ns, voluntary_switches) = (thread.cpu_ns, thread.voluntary_switches);
    // SAFETY: as above.
    unsafe { copy_counters(prev, thread) };
    // Not that of its fork if it called `execve` and was not the leading one.
    thread.tid = tid;
    thread.left_at_ns = now;
    counters.busy_ns += thread.cpu_ns.wrapping_sub(cpu_ns);
    if thread.voluntary_switches == voluntary_switches {
        counters.involuntary_switches += 1;
        preempted(prev, next);
    } else {
        counters.voluntary_switches += 1;
    }

    // The kernel adds a wait to the task's counter when it ends, so the last
    // one is what the counter has grown by since the task left its last CPU.
    let wait = if offset!(task_run_delay) == ABSENT {
        thread.runqueue_ns += counters.wait_ns;
        counters.wait_ns
    } else {
        let runqueue_ns = thread.runqueue_ns;
        thread.runqueue_ns = field!(prev, task_run_delay: u64);
        thread.runqueue_ns.wrapping_sub(runqueue_ns)
    };
    if began == 0 || counters.off_ns == UNSEEN {
        counters.discarded += 1;
    } else {
        count(&mut cpu.latency.on_cpu, elapsed(began, now));
        count(&mut cpu.latency.runqueue_wait, wait);
        // What was not waited for was slept; a task that was preempted did
        // not sleep.
        if thread.task_state != 0 && counters.off_ns > wait {
            let slept = counters.off_ns - wait;
            thread.blocked_ns += slept;
            count(&mut cpu.latency.off_cpu, slept);
        }
    }
    thread.task_state = field!(prev, task_state: u32);
    touch(index);
    if thread.task_state & TASK_DEAD != 0 {
        end(counters, prev, thread, index, now);
    }
}

/// Charges a task that has no record: it was there before the programs and
/// has not been found yet, or there was no free record when it was made.
#[inline(never)]
fn leave_unknown(cpu: &mut CpuCounters, prev: *const Kernel, now: u64, began: u64) {
    cpu.unknown_tasks += 1;
    if field!(prev, task_state: u32) == 0 {
        cpu.involuntary_switches += 1;
    } else {
        cpu.voluntary_switches += 1;
    }
    if began != 0 {
        let ran = elapsed(began, now);
        cpu.busy_ns += ran;
        cpu.unattributed_ns += ran;
    }
}

/// Notes who has the CPU now.
#[inline(always)]
fn enter(cpu: &mut CpuCounters, next: *const Kernel, now: u64) {
    let tid = field!(next, task_pid: u32);
    cpu.task = next as u64;
    cpu.tid = tid;
    cpu.thread = NO_THREAD;
    cpu.since_ns = now;
    cpu.off_ns = UNSEEN;
    if tid == 0 {
        return;
    }
    let found = find(next, tid).or_else(|| {
        let index = begin(cpu, next, tid, now);
        Some((index, THREADS.get_ptr_mut(index)?))
    });
    let Some((index, thread)) = found else {
        return;
    };
    cpu.thread = index;
    // SAFETY: the pointer is to an element; only this CPU writes to it while
    // the task is arriving.
    let thread = unsafe { &mut *thread };
    cpu.off_ns = if thread.left_at_ns == 0 {
        0
    } else {
        elapsed(thread.left_at_ns, now)
    };
    thread.left_at_ns = 0;
    if offset!(task_run_delay) == ABSENT {
        cpu.wait_ns = if thread.woken_at_ns != 0 {
            elapsed(thread.woken_at_ns, now)
        } else if thread.task_state == 0 {
            cpu.off_ns
        } else {
            0
        };
        thread.woken_at_ns = 0;
    }
}

/// Counts a duration.
#[inline(always)]
fn count(histogram: &mut Histogram, ns: u64) {
    histogram.sum_ns += ns;
    if let Some(bucket) = histogram.buckets.get_mut(bucket_of(ns)) {
        *bucket += 1;
    }
}

/// The time from one switch to another; 0 if that seems to be less than none,
/// since the clocks of two CPUs may differ by a little.
///
/// Not `saturating_sub`, of which the compiler makes more instructions.
#[inline(always)]
fn elapsed(from_ns: u64, to_ns: u64) -> u64 {
    let ns = to_ns.wrapping_sub(from_ns);
    if ns.cast_signed() > 0 { ns } else { 0 }
}
