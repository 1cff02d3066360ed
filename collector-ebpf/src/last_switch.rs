//! The last switch-out of a thread.

use collector_ebpf::{
    CpuCounters, EVENT_THREAD_END, GROUP_DEAD, THREAD_DEAD, Thread, ThreadEndEvent,
};

use crate::{
    field::Kernel,
    maps::{EVENTS, TASK_TO_SLOT},
    task::{group_dead, group_exits, wait_status},
};

/// Marks the record of a thread that will not run again as dead, and reports it
/// to user space.
///
/// The last switch-out is the last that the task does: only from here on its
/// counters are final, and only from here on its `task_struct` may be freed.
#[inline(never)]
pub(crate) fn end_thread(
    cpu: &mut CpuCounters,
    prev: *const Kernel,
    thread: &mut Thread,
    slot: u32,
    now: u64,
) {
    if thread.flags & GROUP_DEAD == 0 {
        record_exit_status(prev, thread);
    }
    thread.state = THREAD_DEAD;
    thread.task = 0;
    let _ = TASK_TO_SLOT.remove(prev as u64);
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
        (*event).slot = slot;
        (*event).tid = thread.tid;
    }
    entry.submit(0);
}

/// Records the wait status of the process if this was its last thread and the
/// program on `sched_process_exit` did not run for it.
///
/// The task and its `signal_struct` exist until the last switch-out; a
/// thread-group leader that exited earlier may already be freed.
#[inline(always)]
fn record_exit_status(task: *const Kernel, thread: &mut Thread) {
    let dead = group_dead(task);
    if dead != 0 && (thread.tid == thread.tgid || group_exits(task)) {
        thread.exit_code = wait_status(task);
        thread.flags |= dead;
    }
}
