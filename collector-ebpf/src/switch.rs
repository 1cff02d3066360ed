use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext};
use collector_ebpf::{
    BUCKETS, Cpu, EVENT_THREAD_END, NO_THREAD, THREAD_DEAD, Thread, ThreadEndEvent, bucket_of,
};

use crate::{
    maps::{EVENTS, THREAD_OF, THREADS, touch},
    task::{Kernel, copy_counters, field, offset, this_cpu, thread_of},
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
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_ns() };
    if let Some(cpu) = this_cpu() {
        // SAFETY: the pointer is to this CPU's element, and nothing else runs
        // on this CPU.
        let cpu = unsafe { &mut *cpu };
        leave(cpu, prev, now);
        enter(cpu, next, now);
    }
    0
}

/// Charges the task that leaves the CPU.
#[inline(always)]
fn leave(cpu: &mut Cpu, prev: *const Kernel, now: u64) {
    // If another task was noted, a switch was not seen: then it is not known
    // since when this one has had the CPU.
    let is_noted = cpu.task == prev as u64;
    let began = if is_noted { cpu.since_ns } else { 0 };
    if field!(prev, task_pid: u32) == 0 {
        cpu.idle_switches += 1;
        if began != 0 {
            cpu.idle_ns += now.wrapping_sub(began);
        }
        return;
    }
    let index = if is_noted && cpu.thread != NO_THREAD {
        cpu.thread
    } else {
        thread_of(prev)
    };
    let Some(thread) = THREADS.get_ptr_mut(index) else {
        leave_unknown(cpu, prev, now, began);
        return;
    };
    // SAFETY: the pointer is to an element; only this CPU writes to it while
    // the task is leaving.
    let thread = unsafe { &mut *thread };
    let charged = thread.cpu_ns;
    let voluntary = thread.voluntary_switches;
    // SAFETY: as above.
    unsafe { copy_counters(prev, thread) };
    cpu.busy_ns += thread.cpu_ns.wrapping_sub(charged);
    if thread.voluntary_switches == voluntary {
        cpu.involuntary_switches += 1;
    } else {
        cpu.voluntary_switches += 1;
    }
    if offset!(task_run_delay) == collector_ebpf::ABSENT {
        thread.runqueue_ns += thread.wait_ns;
    } else {
        thread.runqueue_ns = field!(prev, task_run_delay: u64);
    }
    thread.wait_ns = 0;
    if began != 0 {
        count(&mut cpu.on_cpu, now.wrapping_sub(began));
    }

    let state = field!(prev, task_state: u32);
    thread.task_state = state;
    if state == 0 {
        thread.slept_at_ns = 0;
        thread.queued_at_ns = now;
    } else {
        thread.slept_at_ns = now;
        thread.queued_at_ns = 0;
    }
    touch(index);
    if state & TASK_DEAD != 0 {
        end(cpu, prev, thread, index, now);
    }
}

/// Charges a task that has no record: it was there before the programs and
/// has not been found yet, or there was no free record when it was made.
#[inline(always)]
fn leave_unknown(cpu: &mut Cpu, prev: *const Kernel, now: u64, began: u64) {
    cpu.unknown_tasks += 1;
    if field!(prev, task_state: u32) == 0 {
        cpu.involuntary_switches += 1;
    } else {
        cpu.voluntary_switches += 1;
    }
    if began != 0 {
        let ran = now.wrapping_sub(began);
        cpu.busy_ns += ran;
        cpu.unattributed_ns += ran;
    }
}

/// Notes who has the CPU now, and ends that task's wait.
#[inline(always)]
fn enter(cpu: &mut Cpu, next: *const Kernel, now: u64) {
    let tid = field!(next, task_pid: u32);
    cpu.task = next as u64;
    cpu.tid = tid;
    cpu.thread = NO_THREAD;
    cpu.since_ns = now;
    if tid == 0 {
        return;
    }
    let index = thread_of(next);
    let Some(thread) = THREADS.get_ptr_mut(index) else {
        return;
    };
    cpu.thread = index;
    // SAFETY: the pointer is to an element; only this CPU writes to it while
    // the task is arriving.
    let thread = unsafe { &mut *thread };
    let queued = thread.queued_at_ns;
    let slept = thread.slept_at_ns;
    if queued == 0 {
        // Nobody saw the wakeup: how long the task slept and waited is not
        // known.
        cpu.discarded += 1;
    } else {
        if slept != 0 && queued >= slept {
            thread.blocked_ns += queued - slept;
            count(&mut cpu.off_cpu, queued - slept);
        }
        if now >= queued {
            thread.wait_ns = now - queued;
            count(&mut cpu.runqueue_wait, now - queued);
        } else {
            // The clocks of two CPUs may differ by a little.
            count(&mut cpu.runqueue_wait, 0);
        }
    }
    thread.slept_at_ns = 0;
    thread.queued_at_ns = 0;
}

/// Ends the record of a thread that will not run again.
///
/// This is the last that the task does: only from here on its counters are
/// final, and only from here on its `task_struct` may be freed.
#[inline(always)]
fn end(cpu: &mut Cpu, prev: *const Kernel, thread: &mut Thread, index: u32, now: u64) {
    thread.state = THREAD_DEAD;
    let _ = THREAD_OF.remove(prev as u64);
    let Some(mut entry) = EVENTS.reserve_untyped::<ThreadEndEvent>(0) else {
        cpu.events_dropped += 1;
        return;
    };
    let event = entry.as_mut_ptr();
    // SAFETY: the entry has room for the event; each field is written.
    unsafe {
        (*event).header.kind = EVENT_THREAD_END;
        (*event).header.pid = thread.tgid;
        (*event).header.time_ns = now;
        (*event).header.process_start_ns = thread.process_start_ns;
        (*event).thread = index;
        (*event).tid = thread.tid;
    }
    entry.submit(0);
}

/// Counts a duration.
#[inline(always)]
fn count(histogram: &mut [u64; BUCKETS], ns: u64) {
    if let Some(bucket) = histogram.get_mut(bucket_of(ns)) {
        *bucket += 1;
    }
}
