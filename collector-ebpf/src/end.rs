//! The last switch of a thread.

use collector_ebpf::{
    CpuCounters, EVENT_THREAD_END, GROUP_DEAD, THREAD_DEAD, Thread, ThreadEndEvent,
};

use crate::{
    field::Kernel,
    maps::{EVENTS, THREAD_OF},
    task::{group_dead, group_exits, wait_status},
};

/// Ends the record of a thread that will not run again.
///
/// This is the last that the task does: only from here on its counters are
/// final, and only from here on its `task_struct` may be freed.
#[inline(never)]
pub(crate) fn end(
    cpu: &mut CpuCounters,
    prev: *const Kernel,
    thread: &mut Thread,
    index: u32,
    now: u64,
) {
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
