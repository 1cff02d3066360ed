//! `sched_switch`: time is charged when a CPU switches tasks.
//!
//! What few switches need is in functions that are not inlined, so that the
//! common path is short and uses little stack: with 64 bytes or more, kernels
//! since 6.13 give a program a private stack, which costs at each run
//! ([`a76ab5731e32`](https://git.kernel.org/torvalds/c/a76ab5731e32)).

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use collector_ebpf::{
    ABSENT, Cpu, CpuCounters, FOUND_ASLEEP, Latency, ON_CPU_WHEN_FOUND, Thread, bucket_of,
    is_uninterruptible,
};

use crate::{
    clock::switch_time,
    counter::{compiler_barrier, this_cpu},
    field::{Kernel, field, offset},
    last_switch::end_thread,
    maps::THREADS,
    preempt::preempted,
    record::{copy_counters, find, mark_dirty},
    unseen_fork::assign_at_switch,
};

/// `TASK_DEAD` of `include/linux/sched.h`: set once, in `do_task_dead`.
const TASK_DEAD: u32 = 0x80;

/// A CPU switches from one task to another.
///
/// Runs with the run queue locked and interrupts disabled. The scheduler has
/// charged `prev` up to this switch, so that its counters are exact.
#[btf_tracepoint(function = "sched_switch")]
pub(crate) fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    let prev: *const Kernel = ctx.arg(1);
    let next: *const Kernel = ctx.arg(2);
    if let Some(cpu) = this_cpu() {
        // SAFETY: the pointer is to this CPU's element, and interrupts are
        // disabled, so that no other program runs on it. Of the fields that are
        // written elsewhere (see `Cpu`), `drain_epoch` is read by a volatile
        // read, and the others are only compared and overwritten.
        let cpu = unsafe { &mut *cpu };
        let now = switch_time(&mut cpu.counters, prev);
        let began = switch_in(&mut cpu.counters, prev, next, now);
        switch_out(cpu, prev, next, now, began);
    }
    0
}

/// Stores the new current task, and returns when the previous one was switched
/// in; 0 if another task was stored, because a switch was not seen.
///
/// Before the previous task is charged: otherwise user space would count its
/// charged slice as time in flight too. The record of `next` is looked up at its
/// switch-out, so that each switch looks up one record.
#[inline(always)]
fn switch_in(cpu: &mut CpuCounters, prev: *const Kernel, next: *const Kernel, now: u64) -> u64 {
    let began = if cpu.task == prev as u64 {
        cpu.since_ns
    } else {
        0
    };
    cpu.task = next as u64;
    cpu.tid = field!(next, task_pid: u32);
    cpu.since_ns = now;
    compiler_barrier();
    began
}

/// Adds a duration to a histogram.
macro_rules! count_duration {
    ($latency:expr, $kind:ident, $ns:ident) => {
        if let Some(bucket) = $latency.buckets.get_mut(bucket_of($ns)) {
            bucket.$kind += 1;
        }
    };
}

/// Counts a sleep that has ended, by the state in which the task slept.
#[inline(always)]
pub(crate) fn count_sleep(
    cpu: &mut CpuCounters,
    latency: &mut Latency,
    thread: &mut Thread,
    slept: u64,
) {
    if is_uninterruptible(thread.task_state) {
        thread.uninterruptible_ns += slept;
    } else {
        thread.interruptible_ns += slept;
    }
    // If its start was not seen, its length is unknown.
    if thread.task_state & FOUND_ASLEEP == 0 {
        cpu.off_cpu_ns += slept;
        count_duration!(latency, off_cpu, slept);
    }
}

/// Charges the task that is switched out, and that was switched in at `began`; 0
/// if unknown.
#[inline(always)]
fn switch_out(cpu: &mut Cpu, prev: *const Kernel, next: *const Kernel, now: u64, began: u64) {
    let counters = &mut cpu.counters;
    let tid = field!(prev, task_pid: u32);
    if tid == 0 {
        counters.idle_switches += 1;
        if began != 0 {
            counters.idle_ns += elapsed(began, now);
        }
        return;
    }
    let Some((slot, thread)) = find(prev, tid) else {
        switch_out_untracked(counters, prev, now, began);
        return;
    };
    // SAFETY: the pointer is to an element. No other program writes it: its task
    // is being switched out here, so it is not on another CPU, and a waker waits
    // for the lock of this run queue. User space writes it only after it has
    // found that the task no longer exists.
    let thread = unsafe { &mut *thread };
    let (cpu_ns, voluntary_switches) = (thread.cpu_ns, thread.voluntary_switches);
    // SAFETY: as above.
    unsafe { copy_counters(prev, thread) };
    // `execve` gives the calling thread the ID of the thread-group leader.
    thread.tid = tid;
    counters.busy_ns += thread.cpu_ns.wrapping_sub(cpu_ns);
    let state = field!(prev, task_state: u32);
    // A task that was about to sleep may be preempted first: then it is still
    // runnable, whatever its state.
    let next_state = if thread.voluntary_switches == voluntary_switches {
        counters.involuntary_switches += 1;
        preempted(prev, next);
        0
    } else {
        counters.voluntary_switches += 1;
        state
    };

    // The off-CPU time before this slice, if known; 0 before the first slice.
    let off = match thread.left_at_ns {
        ON_CPU_WHEN_FOUND => None,
        _ if began == 0 => None,
        0 => Some(0),
        left_at => Some(elapsed(left_at, began)),
    };
    let wait = runqueue_wait_of(thread, prev, off);
    if let Some(off) = off {
        let ran = elapsed(began, now);
        counters.on_cpu_ns += ran;
        count_duration!(cpu.latency, on_cpu, ran);
        counters.runqueue_wait_ns += wait;
        count_duration!(cpu.latency, runqueue_wait, wait);
        // Off-CPU time that was not run-queue wait was sleep, unless the task
        // was preempted. The difference is compared with 0, and not the two with
        // each other, from which the verifier of 5.10 infers contradictory
        // bounds.
        let slept = elapsed(wait, off);
        if thread.task_state != 0 && slept != 0 {
            count_sleep(counters, &mut cpu.latency, thread, slept);
        }
    } else {
        counters.untimed_slices += 1;
    }
    thread.left_at_ns = now;
    thread.task_state = next_state;
    mark_dirty(counters, thread, slot);
    if state & TASK_DEAD != 0 {
        end_thread(counters, prev, thread, slot, now);
    }
}

/// The run-queue wait before the slice that ends now, which is also added to the
/// record. `off` is the off-CPU time before that slice, if known.
#[inline(always)]
fn runqueue_wait_of(thread: &mut Thread, task: *const Kernel, off: Option<u64>) -> u64 {
    // The kernel adds a wait to `run_delay` at the switch-in, so the last wait is
    // the growth of the counter since the previous switch-out.
    if offset!(task_run_delay) != ABSENT {
        let runqueue_ns = thread.runqueue_ns;
        thread.runqueue_ns = field!(task, task_run_delay: u64);
        return thread.runqueue_ns.wrapping_sub(runqueue_ns);
    }
    // Otherwise the program on the wakeup has made the record look like that of
    // a task preempted at that time.
    let wait = match off {
        Some(off) if thread.task_state == 0 => off,
        _ => 0,
    };
    thread.runqueue_ns += wait;
    wait
}

/// Charges a task that has no record: it existed before the programs and has not
/// been visited by the iterator yet, there was no free record at its fork, or its
/// fork was not seen. The last of these is assigned a record.
#[inline(never)]
fn switch_out_untracked(cpu: &mut CpuCounters, prev: *const Kernel, now: u64, began: u64) {
    let ran = if began == 0 { 0 } else { elapsed(began, now) };
    let state = field!(prev, task_state: u32);
    if state == 0 {
        cpu.involuntary_switches += 1;
    } else {
        cpu.voluntary_switches += 1;
    }
    let slot = assign_at_switch(cpu, prev, now);
    let Some(thread) = THREADS.get_ptr_mut(slot) else {
        cpu.untracked_tasks += 1;
        cpu.busy_ns += ran;
        cpu.unattributed_ns += ran;
        return;
    };
    cpu.untimed_slices += 1;
    // SAFETY: as in `switch_out`.
    let thread = unsafe { &mut *thread };
    // If this was its first slice, its length is the kernel's counter, which
    // excludes interrupts.
    let is_first = thread.voluntary_switches + thread.involuntary_switches == 1;
    cpu.busy_ns += if is_first { thread.cpu_ns } else { ran };
    thread.left_at_ns = now;
    if state & TASK_DEAD != 0 {
        end_thread(cpu, prev, thread, slot, now);
    }
}

/// The time from one switch to another; 0 if that is negative, because the clocks
/// of two CPUs may differ slightly.
///
/// Not `saturating_sub`, which compiles to more instructions.
#[inline(always)]
pub(crate) fn elapsed(from_ns: u64, to_ns: u64) -> u64 {
    let ns = to_ns.wrapping_sub(from_ns);
    if ns.cast_signed() > 0 { ns } else { 0 }
}
