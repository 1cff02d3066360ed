use aya_ebpf::{bindings::BPF_NOEXIST, macros::btf_tracepoint, programs::BtfTracePointContext};
use collector_ebpf::{
    ABSENT, Cpu, CpuCounters, EVENT_THREAD_END, GROUP_DEAD, Histogram, NO_THREAD, THREAD_DEAD,
    Thread, ThreadEndEvent, UNSEEN, bucket_of,
};

use crate::{
    clock::switch_time,
    maps::{EVENTS, THREAD_OF, THREADS, touch},
    preempt::preempted,
    task::{
        Kernel, copy_counters, field, give_record, group_dead, group_exits, loaded_at, offset,
        pointer, this_cpu, thread_of, wait_status,
    },
};

/// `TASK_DEAD` of `include/linux/sched.h`: set once, in `do_task_dead`.
const TASK_DEAD: u32 = 0x80;

/// For how long a CPU does not ask for a record after it got none.
const RETRY_NS: u64 = 1 << 20;

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
    // If another task was noted, a switch was not seen: then it is not known
    // since when this one has had the CPU.
    let is_noted = counters.task == prev as u64;
    let began = if is_noted { counters.since_ns } else { 0 };
    let tid = field!(prev, task_pid: u32);
    if tid == 0 {
        counters.idle_switches += 1;
        if began != 0 {
            counters.idle_ns += now.saturating_sub(began);
        }
        return;
    }
    let index = if is_noted && counters.thread != NO_THREAD {
        counters.thread
    } else {
        thread_of(prev, tid)
    };
    let Some(thread) = THREADS.get_ptr_mut(index) else {
        leave_unknown(counters, prev, now, began);
        return;
    };
    // SAFETY: the pointer is to an element; only this CPU writes to it while
    // the task is leaving.
    let thread = unsafe { &mut *thread };
    let before = (
        thread.cpu_ns,
        thread.runqueue_ns,
        thread.voluntary_switches,
        thread.task_state,
    );
    // SAFETY: as above.
    unsafe { copy_counters(prev, thread) };
    let state = field!(prev, task_state: u32);
    thread.task_state = state;
    // Not that of its fork if it called `execve` and was not the leading one.
    thread.tid = tid;
    thread.left_at_ns = now;
    counters.busy_ns += thread.cpu_ns.wrapping_sub(before.0);
    if thread.voluntary_switches == before.2 {
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
        thread.runqueue_ns = field!(prev, task_run_delay: u64);
        thread.runqueue_ns.wrapping_sub(before.1)
    };
    if began == 0 || counters.off_ns == UNSEEN {
        counters.discarded += 1;
    } else {
        count(&mut cpu.latency.on_cpu, now.saturating_sub(began));
        count(&mut cpu.latency.runqueue_wait, wait);
        // What was not waited for was slept; a task that was preempted did
        // not sleep.
        if before.3 != 0 && counters.off_ns > wait {
            let slept = counters.off_ns - wait;
            thread.blocked_ns += slept;
            count(&mut cpu.latency.off_cpu, slept);
        }
    }
    touch(index);
    if state & TASK_DEAD != 0 {
        end(counters, prev, thread, index, now);
    }
}

/// Charges a task that has no record: it was there before the programs and
/// has not been found yet, or there was no free record when it was made.
#[inline(always)]
fn leave_unknown(cpu: &mut CpuCounters, prev: *const Kernel, now: u64, began: u64) {
    cpu.unknown_tasks += 1;
    if field!(prev, task_state: u32) == 0 {
        cpu.involuntary_switches += 1;
    } else {
        cpu.voluntary_switches += 1;
    }
    if began != 0 {
        let ran = now.saturating_sub(began);
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
    let mut index = thread_of(next, tid);
    if index == NO_THREAD {
        index = begin(cpu, next, tid, now);
    }
    let Some(thread) = THREADS.get_ptr_mut(index) else {
        return;
    };
    cpu.thread = index;
    // SAFETY: the pointer is to an element; only this CPU writes to it while
    // the task is arriving.
    let thread = unsafe { &mut *thread };
    // The clocks of two CPUs may differ by a little.
    cpu.off_ns = if thread.left_at_ns == 0 {
        0
    } else {
        now.saturating_sub(thread.left_at_ns)
    };
    thread.left_at_ns = 0;
    if offset!(task_run_delay) == ABSENT {
        cpu.wait_ns = if thread.woken_at_ns != 0 {
            now.saturating_sub(thread.woken_at_ns)
        } else if thread.task_state == 0 {
            cpu.off_ns
        } else {
            0
        };
        thread.woken_at_ns = 0;
    }
}

/// Gives a record to a task that has none since its fork was not seen: so
/// nothing of what it does is missed.
///
/// Not to one of a process that was there before the programs and has not been
/// found by the iterator, which shows it as a whole. Where no record is free,
/// the next try is a while later: there is one queue of them for all CPUs.
#[inline(always)]
fn begin(cpu: &mut CpuCounters, task: *const Kernel, tid: u32, now: u64) -> u32 {
    if now.wrapping_sub(cpu.refused_ns) < RETRY_NS || !is_of_known_process(task) {
        return NO_THREAD;
    }
    let index = give_record(task, u64::from(BPF_NOEXIST));
    if index == NO_THREAD {
        cpu.refused_ns = now;
    } else if tid == field!(task, task_tgid: u32) {
        cpu.begun_unseen += 1;
    }
    index
}

/// Whether the process of a task began after the programs were loaded, or its
/// leading thread has a record.
#[inline(always)]
fn is_of_known_process(task: *const Kernel) -> bool {
    let leader = pointer!(task, task_group_leader);
    if leader.is_null() {
        return false;
    }
    field!(leader, task_start: u64) >= loaded_at()
        || thread_of(leader, field!(leader, task_pid: u32)) != NO_THREAD
}

/// Ends the record of a thread that will not run again.
///
/// This is the last that the task does: only from here on its counters are
/// final, and only from here on its `task_struct` may be freed.
#[inline(always)]
fn end(cpu: &mut CpuCounters, prev: *const Kernel, thread: &mut Thread, index: u32, now: u64) {
    if thread.flags & GROUP_DEAD == 0 {
        note_status(prev, thread);
    }
    thread.state = THREAD_DEAD;
    thread.task = 0;
    let _ = THREAD_OF.remove(prev as u64);
    let Some(mut entry) = EVENTS.reserve_untyped::<ThreadEndEvent>(0) else {
        cpu.events_dropped += 1;
        cpu.ends_dropped += 1;
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

/// Notes how the process of a thread ended, if that was its last one and
/// `sched_process_exit` was not run.
///
/// The task and its `signal_struct` are there until the last switch; a leading
/// thread that ended before may not be.
#[inline(always)]
fn note_status(task: *const Kernel, thread: &mut Thread) {
    let dead = group_dead(task);
    if dead != 0 && (thread.tid == thread.tgid || group_exits(task)) {
        thread.exit_code = wait_status(task);
        thread.flags |= dead;
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
