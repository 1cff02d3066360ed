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
    begin::is_of_known_process,
    cgroup,
    counter::count,
    debug::debug_log,
    field::{Kernel, field, pointer},
    maps::{EVENTS, EXEC_SCRATCH, THREAD_OF, THREADS},
    record::{adopt, find, thread_of},
    task::{effective_user, flags, group_dead, parent, process_start, read_comm, wait_status},
};

/// A task is made: it has not run yet.
///
/// Not all tasks come by here: the kernel makes the workers of `io_uring` and
/// of `vhost` without this tracepoint, and since 7.0 it leaves out a run of a
/// program that comes while another one is preempted on the same CPU. Those
/// tasks get their records with their first CPU, or from the iterator.
#[btf_tracepoint(function = "sched_process_fork")]
pub(crate) fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    let maker: *const Kernel = ctx.arg(0);
    let child: *const Kernel = ctx.arg(1);
    let (tid, tgid) = (field!(child, task_pid: u32), field!(child, task_tgid: u32));
    // The threads of a process that was there before the programs get theirs
    // from the iterator, which brings what the ones used that have ended: those
    // that end before it comes by must not be told twice.
    if !has_record(child, tid) && (tid == tgid || is_of_known_process(child)) {
        adopt(child, 0);
    }

    debug_log!(
        &ctx,
        "fork: thread {} of process {}, record {}",
        tid,
        tgid,
        thread_of(child, tid)
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
        (*event).ppid = field!(maker, task_tgid: u32);
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

/// Whether a task that is made has a record by now: the iterator may have come
/// by, since the task is in its list before this tracepoint. Any other record
/// at its address is of a task that is gone, and is not found from here on.
#[inline(always)]
fn has_record(child: *const Kernel, tid: u32) -> bool {
    let Some((_index, thread)) = find(child, tid) else {
        return false;
    };
    // SAFETY: the pointer is to an element. The child has not run yet, and a
    // task that was at its address before has been freed, and will not run.
    unsafe {
        if (*thread).tid == tid {
            return true;
        }
        (*thread).task = 0;
    }
    let _ = THREAD_OF.remove(child as u64);
    false
}

/// A process has become another program. Its arguments are on its new stack.
#[btf_tracepoint(function = "sched_process_exec")]
pub(crate) fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    let task: *const Kernel = ctx.arg(0);
    let bprm: *const Kernel = ctx.arg(2);
    // If another thread than the leading one called execve, it has taken over
    // the number of the leading one.
    let tid = field!(task, task_pid: u32);
    if let Some(thread) = THREADS.get_ptr_mut(thread_of(task, tid)) {
        // SAFETY: the pointer is to an element, which is this task's: it is
        // running, so it has not been through its last switch. Only the program
        // on `sched_switch` writes to the record of a running task too, on this
        // CPU.
        unsafe { (*thread).tid = tid };
    }
    let Some(event) = EXEC_SCRATCH.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: the scratch is this CPU's own, and no other program uses it. The
    // program stays on its CPU, and is not run within itself: up to 6.19 it is
    // not preempted, and since 7.0 the kernel leaves out the run of one that
    // preempts it (`__bpf_trace_run` of `kernel/trace/bpf_trace.c`).
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

/// Fills in the event, and returns how many bytes of it are to be sent.
///
/// # Safety
///
/// `event` points to memory of its size.
#[inline(always)]
unsafe fn fill_exec(event: *mut ExecEvent, task: *const Kernel, bprm: *const Kernel) -> u64 {
    // SAFETY: the caller's promise; the helpers check the sources.
    unsafe {
        (*event).header = EventHeader {
            kind: EVENT_EXEC,
            pid: field!(task, task_tgid: u32),
            time_ns: bpf_ktime_get_ns(),
            process_start_ns: process_start(task),
        };
        (*event).ppid = parent(task);
        (*event).uid = effective_user(task);
        (*event).exec_id = field!(task, task_exec_id: u64);
        read_comm(task, &raw mut (*event).comm);

        let filename = pointer!(bprm, bprm_filename);
        let read = generated::bpf_probe_read_kernel_str(
            (&raw mut (*event).filename).cast(),
            FILENAME_MAX as u32,
            filename.cast(),
        );
        (*event).filename_len = if read > 0 { read as u32 } else { 0 };

        let mm = pointer!(task, task_mm);
        let (mut start, mut full) = (0, 0);
        if !mm.is_null() {
            start = field!(mm, mm_arg_start: u64);
            full = field!(mm, mm_arg_end: u64).wrapping_sub(start);
        }
        (*event).argv_full_len = full;
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
        (*event).argv_len = length as u32;
        offset_of!(ExecEvent, argv) as u64 + length
    }
}

/// A thread begins to exit. It goes on running for a while: it gives back its
/// memory and its files, and leaves its CPU for the last time in
/// `sched_switch`; that also notes how it ended, should this run be left out.
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    let task: *const Kernel = ctx.arg(0);
    if let Some(thread) = THREADS.get_ptr_mut(thread_of(task, field!(task, task_pid: u32))) {
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
