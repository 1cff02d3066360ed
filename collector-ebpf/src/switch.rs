//! Time is charged where a CPU passes from one task to another.
//!
//! What few switches need is in functions of its own, which are not inlined:
//! so the common way is short, and keeps little on the stack. From 64 bytes on
//! kernels since 6.13 give a program a stack apart, which costs at each run
//! ([`a76ab5731e32`](https://git.kernel.org/torvalds/c/a76ab5731e32)).

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use collector_ebpf::{
    ABSENT, Cpu, CpuCounters, FOUND_ASLEEP, Latency, Thread, UNSEEN, bucket_of, is_uninterruptible,
};

use crate::{
    begin::begin,
    clock::switch_time,
    counter::{stores_end_here, this_cpu},
    end::end,
    field::{Kernel, field, offset},
    maps::THREADS,
    preempt::preempted,
    record::{copy_counters, find, mark},
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
        // SAFETY: the pointer is to this CPU's element, and interrupts are off,
        // so that no other program runs on it. Of what is written elsewhere (see
        // `Cpu`), `drain` is read as volatile, and the rest is only compared and
        // overwritten.
        let cpu = unsafe { &mut *cpu };
        let now = switch_time(&mut cpu.counters, prev);
        let began = enter(&mut cpu.counters, prev, next, now);
        leave(cpu, prev, next, now, began);
    }
    0
}

/// Notes who has the CPU now, and returns since when the one before had it; 0
/// if another one was noted: then a switch was not seen.
///
/// That is done before the one that leaves is charged: user space would take
/// what has been charged already for time in flight. The record of the one that
/// comes is looked for when it leaves: so that is done once a switch.
#[inline(always)]
fn enter(cpu: &mut CpuCounters, prev: *const Kernel, next: *const Kernel, now: u64) -> u64 {
    let began = if cpu.task == prev as u64 {
        cpu.since_ns
    } else {
        0
    };
    cpu.task = next as u64;
    cpu.tid = field!(next, task_pid: u32);
    cpu.since_ns = now;
    stores_end_here();
    began
}

/// Counts a duration.
macro_rules! count_duration {
    ($latency:expr, $kind:ident, $ns:ident) => {
        if let Some(bucket) = $latency.buckets.get_mut(bucket_of($ns)) {
            bucket.$kind += 1;
        }
    };
}

/// Counts the sleep of a task that has ended, by the state in which it was.
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
    // How long it was as a whole is not known where its begin was not seen.
    if thread.task_state & FOUND_ASLEEP == 0 {
        cpu.off_cpu_ns += slept;
        count_duration!(latency, off_cpu, slept);
    }
}

/// Charges the task that leaves the CPU, which it has had since `began`; 0 if
/// that is not known.
#[inline(always)]
fn leave(cpu: &mut Cpu, prev: *const Kernel, next: *const Kernel, now: u64, began: u64) {
    let counters = &mut cpu.counters;
    let tid = field!(prev, task_pid: u32);
    if tid == 0 {
        counters.idle_switches += 1;
        if began != 0 {
            counters.idle_ns += elapsed(began, now);
        }
        return;
    }
    let Some((index, thread)) = find(prev, tid) else {
        leave_unknown(counters, prev, now, began);
        return;
    };
    // SAFETY: the pointer is to an element. No other program writes to it: its
    // task is leaving this CPU, so it runs none on another, and who would wake
    // it waits for the lock of this run queue. User space writes to it only if
    // it takes the task for gone.
    let thread = unsafe { &mut *thread };
    let (cpu_ns, voluntary_switches) = (thread.cpu_ns, thread.voluntary_switches);
    // SAFETY: as above.
    unsafe { copy_counters(prev, thread) };
    // Not that of its fork if it called `execve` and was not the leading one.
    thread.tid = tid;
    counters.busy_ns += thread.cpu_ns.wrapping_sub(cpu_ns);
    let state = field!(prev, task_state: u32);
    // A task that was about to sleep may be preempted before it does, and goes
    // on: then its state tells of no sleep.
    let next_state = if thread.voluntary_switches == voluntary_switches {
        counters.involuntary_switches += 1;
        preempted(prev, next);
        0
    } else {
        counters.voluntary_switches += 1;
        state
    };

    // How long it had been off every CPU, if that is known; 0 before its first
    // slice.
    let off = match thread.left_at_ns {
        UNSEEN => None,
        _ if began == 0 => None,
        0 => Some(0),
        left_at => Some(elapsed(left_at, began)),
    };
    let wait = waited(thread, prev, off);
    if let Some(off) = off {
        let ran = elapsed(began, now);
        counters.on_cpu_ns += ran;
        count_duration!(cpu.latency, on_cpu, ran);
        counters.runqueue_wait_ns += wait;
        count_duration!(cpu.latency, runqueue_wait, wait);
        // What was not waited for was slept; a task that was preempted did
        // not sleep. The difference is compared, and not the two: of those the
        // verifier of 5.10 concludes bounds that exclude each other.
        let slept = elapsed(wait, off);
        if thread.task_state != 0 && slept != 0 {
            count_sleep(counters, &mut cpu.latency, thread, slept);
        }
    } else {
        counters.discarded += 1;
    }
    thread.left_at_ns = now;
    thread.task_state = next_state;
    mark(counters, thread, index);
    if state & TASK_DEAD != 0 {
        end(counters, prev, thread, index, now);
    }
}

/// How long a task had waited for the CPU that it leaves now, which is added
/// to its record. `off` is how long it had been off every CPU, if that is known.
#[inline(always)]
fn waited(thread: &mut Thread, task: *const Kernel, off: Option<u64>) -> u64 {
    // The kernel adds a wait to the task's counter when it ends, so the last
    // one is what the counter has grown by since the task left its last CPU.
    if offset!(task_run_delay) != ABSENT {
        let runqueue_ns = thread.runqueue_ns;
        thread.runqueue_ns = field!(task, task_run_delay: u64);
        return thread.runqueue_ns.wrapping_sub(runqueue_ns);
    }
    // Else its wakeup is where it left its record as if it had been preempted.
    let wait = match off {
        Some(off) if thread.task_state == 0 => off,
        _ => 0,
    };
    thread.runqueue_ns += wait;
    wait
}

/// Charges a task that has no record: it was there before the programs and
/// has not been found yet, there was no free record when it was made, or its
/// fork was not seen. To that one a record is given.
#[inline(never)]
fn leave_unknown(cpu: &mut CpuCounters, prev: *const Kernel, now: u64, began: u64) {
    let ran = if began == 0 { 0 } else { elapsed(began, now) };
    let state = field!(prev, task_state: u32);
    if state == 0 {
        cpu.involuntary_switches += 1;
    } else {
        cpu.voluntary_switches += 1;
    }
    let index = begin(cpu, prev, now);
    let Some(thread) = THREADS.get_ptr_mut(index) else {
        cpu.unknown_tasks += 1;
        cpu.busy_ns += ran;
        cpu.unattributed_ns += ran;
        return;
    };
    cpu.discarded += 1;
    // SAFETY: as in `leave`.
    let thread = unsafe { &mut *thread };
    // If this was its first slice, the kernel's counter tells how long that
    // was: the clock counts interrupts too.
    let is_first = thread.voluntary_switches + thread.involuntary_switches == 1;
    cpu.busy_ns += if is_first { thread.cpu_ns } else { ran };
    thread.left_at_ns = now;
    if state & TASK_DEAD != 0 {
        end(cpu, prev, thread, index, now);
    }
}

/// The time from one switch to another; 0 if that seems to be less than none,
/// since the clocks of two CPUs may differ by a little.
///
/// Not `saturating_sub`, of which the compiler makes more instructions.
#[inline(always)]
pub(crate) fn elapsed(from_ns: u64, to_ns: u64) -> u64 {
    let ns = to_ns.wrapping_sub(from_ns);
    if ns.cast_signed() > 0 { ns } else { 0 }
}
