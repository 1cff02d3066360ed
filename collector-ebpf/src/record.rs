//! The record of a task: where it is, and how it gets one.

use aya_ebpf::bindings::BPF_NOEXIST;
use collector_ebpf::{
    CpuCounters, FOUND_ASLEEP, NO_THREAD, THREAD_FREE, THREAD_LIVE, Thread, UNSEEN, sleeps,
};

use crate::{
    counter::{count, stores_end_here},
    field::{Kernel, field},
    maps::{FREE, THREAD_OF, THREADS, recent, touch},
    task::{flags, process_start},
};

/// The element of `THREADS` of a task, or [`NO_THREAD`].
#[inline(always)]
pub(crate) fn thread_of(task: *const Kernel, tid: u32) -> u32 {
    match find(task, tid) {
        Some((index, _thread)) => index,
        None => NO_THREAD,
    }
}

/// The record of a task, and which element of `THREADS` that is.
///
/// Looks where a task of this number was found last, and only if another one
/// is there by now in the hash map: numbers are given out in a row, so few
/// share a place.
#[inline(always)]
pub(crate) fn find(task: *const Kernel, tid: u32) -> Option<(u32, *mut Thread)> {
    // SAFETY: the place is within the table. Another CPU may write to it: then
    // one or the other is read, and either is checked.
    let index = unsafe { recent(tid).read_volatile() };
    if let Some(thread) = THREADS.get_ptr_mut(index) {
        // SAFETY: the pointer is to an element. If it is that of another task
        // its address differs, and if it is free it has none.
        if unsafe { (&raw const (*thread).task).read_volatile() } == task as u64 {
            return Some((index, thread));
        }
    }
    let index = look_up(task, tid);
    Some((index, THREADS.get_ptr_mut(index)?))
}

/// As [`thread_of`], by the hash map alone; notes what it found for the next
/// time. A function of its own, since few switches come here.
#[inline(never)]
pub(crate) fn look_up(task: *const Kernel, tid: u32) -> u32 {
    match THREAD_OF.get_ptr(task as u64) {
        // SAFETY: the pointer is to a live element; should the element be
        // removed and used again meanwhile, the value read is that of another
        // task, which only the last switch of this one could bring about.
        // The place is within the table.
        Some(thread) => unsafe {
            recent(tid).write_volatile(*thread);
            *thread
        },
        None => NO_THREAD,
    }
}

/// Copies the counters that the kernel keeps of a task into its record.
///
/// # Safety
///
/// `thread` points to an element of `THREADS`.
#[inline(always)]
pub(crate) unsafe fn copy_counters(task: *const Kernel, thread: *mut Thread) {
    // SAFETY: the caller's promise.
    unsafe {
        (*thread).cpu_ns = field!(task, task_cpu_ns: u64);
        (*thread).user_ns = field!(task, task_utime: u64);
        (*thread).system_ns = field!(task, task_stime: u64);
        (*thread).voluntary_switches = field!(task, task_nvcsw: u64);
        (*thread).involuntary_switches = field!(task, task_nivcsw: u64);
        (*thread).minor_faults = field!(task, task_min_flt: u64);
        (*thread).major_faults = field!(task, task_maj_flt: u64);
    }
}

/// Marks the record of a task as changed, once it is: on the CPU that the task
/// leaves, or on the one that wakes it.
///
/// Once is enough until user space drains the marks, which it counts: so the
/// bytes of them, which lie close to each other, are not passed to and fro
/// between CPUs at each switch.
#[inline(always)]
pub(crate) fn mark(cpu: &CpuCounters, thread: &mut Thread, index: u32) {
    stores_end_here();
    // SAFETY: a reference is valid for reads; user space writes the field.
    let drain = unsafe { (&raw const cpu.drain).read_volatile() };
    if thread.marked != drain {
        thread.marked = drain;
        touch(index);
    }
}

/// As [`give_record`]; if no record is free, that is counted.
#[inline(always)]
pub(crate) fn adopt(task: *const Kernel, since_ns: u64) -> u32 {
    let index = give_record(task, since_ns);
    if index == NO_THREAD {
        count!(threads_dropped);
    }
    index
}

/// Gives a task a record, with the counters that it has by now, and marks it
/// as changed; returns the one that it has if another CPU was faster, and
/// [`NO_THREAD`] if no record is free.
///
/// If it is off every CPU it has been so since `since_ns` as far as is known:
/// a time before the call, or 0 for one that has not run yet.
#[inline(always)]
pub(crate) fn give_record(task: *const Kernel, since_ns: u64) -> u32 {
    let Ok(Some(index)) = FREE.pop() else {
        return NO_THREAD;
    };
    let Some(thread) = THREADS.get_ptr_mut(index) else {
        return NO_THREAD;
    };
    // SAFETY: the record was free, so nobody else writes to it until it is
    // found: through `RECENT` once it has the address of its task, and through
    // `THREAD_OF`. From then on only `state` is written here.
    unsafe {
        (*thread).tid = field!(task, task_pid: u32);
        (*thread).tgid = field!(task, task_tgid: u32);
        (*thread).process_start_ns = process_start(task);
        (*thread).flags = flags(task);
        let state = field!(task, task_state: u32);
        let is_found = since_ns != 0 && sleeps(state);
        (*thread).task_state = if is_found {
            state | FOUND_ASLEEP
        } else {
            state
        };
        (*thread).exit_code = 0;
        copy_counters(task, thread);
        (*thread).runqueue_ns = field!(task, task_run_delay: u64);
        (*thread).interruptible_ns = 0;
        (*thread).uninterruptible_ns = 0;
        // What came before the slice that it is in is not known. Looked at
        // after its counters: the wait for any later slice is not in them yet.
        (*thread).left_at_ns = if field!(task, task_on_cpu: u8) == 0 {
            since_ns
        } else {
            UNSEEN
        };
        (*thread).task = task as u64;
        (*thread).state = THREAD_LIVE;
    }
    if THREAD_OF
        .insert(task as u64, index, u64::from(BPF_NOEXIST))
        .is_err()
    {
        // Another CPU was faster, or the map is full, which it is not before
        // `FREE` is empty.
        // SAFETY: the pointer is to an element. The switch program may have
        // found it through `RECENT` meanwhile, and written to it: nothing of
        // that is kept, and `THREAD_OF` leads to the other one.
        unsafe {
            (*thread).task = 0;
            (*thread).state = THREAD_FREE;
        }
        let _ = FREE.push(index, 0);
        return thread_of(task, field!(task, task_pid: u32));
    }
    touch(index);
    index
}
