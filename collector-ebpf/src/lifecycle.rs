use core::mem::offset_of;

use aya_ebpf::{
    helpers::{bpf_ktime_get_ns, generated},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use collector_ebpf::{
    ARGV_MAX, EVENT_EXEC, EVENT_FORK, EventHeader, ExecEvent, FILENAME_MAX, ForkEvent,
};

use crate::{
    cgroup,
    counter::count,
    debug::debug_log,
    field::{Kernel, field, pointer},
    maps::{EVENTS, EXEC_SCRATCH, TASK_TO_SLOT, THREADS},
    record::{assign_or_count, find, slot_of},
    task::{effective_user, flags, group_dead, parent, process_start, read_comm, wait_status},
    unseen_fork::is_of_tracked_process,
};

/// A task was created; it has not run yet.
///
/// Not every task fires this tracepoint: the workers of `io_uring` and `vhost`
/// do not, and since 7.0 the kernel skips the program if another run of it is
/// preempted on the same CPU (`recursion_misses`). Such tasks are assigned their
/// records at their first switch-out, or by the iterator.
#[btf_tracepoint(function = "sched_process_fork")]
pub(crate) fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    let parent: *const Kernel = ctx.arg(0);
    let child: *const Kernel = ctx.arg(1);
    let (tid, tgid) = (field!(child, task_pid: u32), field!(child, task_tgid: u32));
    // The threads of a process that existed before the programs are assigned
    // theirs by the iterator, which also reports the sums of the exited threads:
    // a thread that exits before that visit must not be counted twice.
    if !has_record(child, tid) && (tid == tgid || is_of_tracked_process(child)) {
        assign_or_count(child, 0);
    }

    debug_log!(
        &ctx,
        "fork: thread {} of process {}, record {}",
        tid,
        tgid,
        slot_of(child, tid)
    );
    if tid != tgid {
        return 0;
    }
    let Some(mut entry) = EVENTS.reserve_untyped::<ForkEvent>(0) else {
        count!(events_dropped);
        return 0;
    };
    let event = entry.as_mut_ptr();
    // SAFETY: the entry has room for the event; each field is written.
    unsafe {
        (*event).header.kind = EVENT_FORK;
        (*event).header.pid = tgid;
        (*event).header.time_ns = bpf_ktime_get_ns();
        (*event).header.process_start_ns = field!(child, task_start: u64);
        (*event).ppid = field!(parent, task_tgid: u32);
        (*event).uid = effective_user(child);
        (*event).flags = u32::from(flags(child));
        (*event).reserved = 0;
        (*event).comm = [0; collector_ebpf::COMM_LEN];
        read_comm(child, &raw mut (*event).comm);
        (*event).cgroup_id = cgroup::id(cgroup::of(child));
        (*event).exec_id = field!(child, task_exec_id: u64);
    }
    entry.submit(0);
    0
}

/// Whether a new task already has a record: the iterator may have visited it,
/// because the task is in the task list before this tracepoint. Any other record
/// with its address is of a task that has been freed, and is removed from the
/// map.
#[inline(always)]
fn has_record(child: *const Kernel, tid: u32) -> bool {
    let Some((_slot, thread)) = find(child, tid) else {
        return false;
    };
    // SAFETY: the pointer is to an element. The child has not run yet, and a
    // task that had its address before has been freed and will not run.
    unsafe {
        if (*thread).tid == tid {
            return true;
        }
        (*thread).task = 0;
    }
    let _ = TASK_TO_SLOT.remove(child as u64);
    false
}

/// A process has executed a program. The arguments are on its new stack.
#[btf_tracepoint(function = "sched_process_exec")]
pub(crate) fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    let task: *const Kernel = ctx.arg(0);
    let bprm: *const Kernel = ctx.arg(2);
    // A thread other than the thread-group leader that calls `execve` takes over
    // the leader's thread ID.
    let tid = field!(task, task_pid: u32);
    if let Some(thread) = THREADS.get_ptr_mut(slot_of(task, tid)) {
        // SAFETY: the pointer is to the element of this task, which is running,
        // so that its last switch-out is still to come. Only the program on
        // `sched_switch`, on this CPU, writes the record of a running task too.
        unsafe { (*thread).tid = tid };
    }
    let Some(event) = EXEC_SCRATCH.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: the scratch memory is per CPU, and only this program uses it. The
    // program does not migrate and is not re-entered: up to 6.19 it is not
    // preemptible, and since 7.0 the kernel skips a run of it that preempts
    // another one (`__bpf_trace_run` of `kernel/trace/bpf_trace.c`).
    let length = unsafe { fill_exec(event, task, bprm) };
    // SAFETY: the first `length` bytes of the scratch are initialised.
    let refused = unsafe {
        generated::bpf_ringbuf_output(
            (&raw const EVENTS).cast_mut().cast(),
            event.cast(),
            length,
            0,
        )
    };
    debug_log!(&ctx, "exec: process {}", field!(task, task_tgid: u32));
    if refused != 0 {
        count!(events_dropped);
    }
    0
}

/// Fills in the event, and returns its length in bytes.
///
/// # Safety
///
/// `event` is valid for writes.
#[inline(always)]
unsafe fn fill_exec(event: *mut ExecEvent, task: *const Kernel, bprm: *const Kernel) -> u64 {
    // SAFETY: the caller's promise; the helpers check the sources.
    unsafe {
        (*event).info.header = EventHeader {
            kind: EVENT_EXEC,
            pid: field!(task, task_tgid: u32),
            time_ns: bpf_ktime_get_ns(),
            process_start_ns: process_start(task),
        };
        (*event).info.ppid = parent(task);
        (*event).info.uid = effective_user(task);
        (*event).info.exec_id = field!(task, task_exec_id: u64);
        read_comm(task, &raw mut (*event).info.comm);

        let filename = pointer!(bprm, bprm_filename);
        let read = generated::bpf_probe_read_kernel_str(
            (&raw mut (*event).filename).cast(),
            FILENAME_MAX as u32,
            filename.cast(),
        );
        (*event).info.filename_len = if read > 0 { read as u32 } else { 0 };

        let mm = pointer!(task, task_mm);
        let (mut start, mut full) = (0, 0);
        if !mm.is_null() {
            start = field!(mm, mm_arg_start: u64);
            full = field!(mm, mm_arg_end: u64).wrapping_sub(start);
        }
        (*event).info.argv_full_len = full;
        let mut length = full;
        if length > ARGV_MAX as u64 {
            length = ARGV_MAX as u64;
        }
        let failed = generated::bpf_probe_read_user(
            (&raw mut (*event).argv).cast(),
            length as u32,
            start as *const _,
        );
        if failed != 0 {
            length = 0;
        }
        (*event).info.argv_len = length as u32;
        offset_of!(ExecEvent, argv) as u64 + length
    }
}

/// A thread starts to exit. It goes on running, to release its memory and files,
/// until its last switch-out, where the wait status is recorded too in case the
/// kernel skips this run.
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    let task: *const Kernel = ctx.arg(0);
    if let Some(thread) = THREADS.get_ptr_mut(slot_of(task, field!(task, task_pid: u32))) {
        let dead = group_dead(task);
        if dead != 0 {
            // SAFETY: as in `sched_process_exec`.
            unsafe {
                (*thread).exit_code = wait_status(task);
                (*thread).flags |= dead;
            }
        }
    }
    debug_log!(&ctx, "exit: thread {}", field!(task, task_pid: u32));
    0
}
