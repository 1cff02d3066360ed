//! The record of a task: how it is found and assigned.

use aya_ebpf::bindings::BPF_NOEXIST;
use collector_ebpf::{
    CpuCounters, FOUND_ASLEEP, NO_SLOT, ON_CPU_WHEN_FOUND, THREAD_FREE, THREAD_LIVE, Thread, sleeps,
};

use crate::{
    counter::{compiler_barrier, count},
    field::{Kernel, field},
    maps::{FREE_SLOTS, TASK_TO_SLOT, THREADS, cached_slot, set_dirty},
    task::{flags, process_start},
};

/// The element of `THREADS` of a task, or [`NO_SLOT`].
#[inline(always)]
pub(crate) fn slot_of(task: *const Kernel, tid: u32) -> u32 {
    match find(task, tid) {
        Some((slot, _thread)) => slot,
        None => NO_SLOT,
    }
}

/// The record of a task, and its index in `THREADS`.
///
/// Tries the cache by thread ID first, and the hash map only on a miss: thread
/// IDs are assigned consecutively, so few of them collide.
#[inline(always)]
pub(crate) fn find(task: *const Kernel, tid: u32) -> Option<(u32, *mut Thread)> {
    // SAFETY: the entry is within the table. Another CPU may write it: then
    // the old or the new value is read, and either is verified.
    let slot = unsafe { cached_slot(tid).read_volatile() };
    if let Some(thread) = THREADS.get_ptr_mut(slot) {
        // SAFETY: the pointer is to an element. If that is of another task, the
        // address differs; if it is free, the address is 0.
        if unsafe { (&raw const (*thread).task).read_volatile() } == task as u64 {
            return Some((slot, thread));
        }
    }
    let slot = slot_in_map(task, tid);
    Some((slot, THREADS.get_ptr_mut(slot)?))
}

/// As [`slot_of`], by the hash map alone; updates the cache. Not inlined,
/// because few switches miss the cache.
#[inline(never)]
fn slot_in_map(task: *const Kernel, tid: u32) -> u32 {
    match TASK_TO_SLOT.get_ptr(task as u64) {
        // SAFETY: the pointer is to a live element. If the element is removed
        // and reused meanwhile, the value read is that of another task; but only
        // the last switch-out of this task removes it. The cache entry is within
        // the table.
        Some(slot) => unsafe {
            cached_slot(tid).write_volatile(*slot);
            *slot
        },
        None => NO_SLOT,
    }
}

/// Copies the kernel's counters of a task to its record.
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

/// Sets a record dirty after it was changed: on the CPU that switches the task
/// out, or on the one that wakes it.
///
/// At most once per drain epoch, so that the cache lines of the dirty bytes,
/// which many records share, do not bounce between CPUs at each switch.
#[inline(always)]
pub(crate) fn mark_dirty(cpu: &CpuCounters, thread: &mut Thread, slot: u32) {
    compiler_barrier();
    // SAFETY: a reference is valid for reads; user space writes the field.
    let epoch = unsafe { (&raw const cpu.drain_epoch).read_volatile() };
    if thread.dirty_epoch != epoch {
        thread.dirty_epoch = epoch;
        set_dirty(slot);
    }
}

/// As [`assign_record`]; counts the thread as dropped if no record is free.
#[inline(always)]
pub(crate) fn assign_or_count(task: *const Kernel, since_ns: u64) -> u32 {
    let slot = assign_record(task, since_ns);
    if slot == NO_SLOT {
        count!(threads_dropped);
    }
    slot
}

/// Assigns a record to a task, with its present counters, and sets it dirty;
/// returns the task's record if another CPU assigned one at the same time, and
/// [`NO_SLOT`] if no record is free.
///
/// If the task is not on a CPU, `since_ns` is taken for its last switch-out: a
/// time before the call, or 0 for a task that has not run yet.
#[inline(always)]
pub(crate) fn assign_record(task: *const Kernel, since_ns: u64) -> u32 {
    let Ok(Some(slot)) = FREE_SLOTS.pop() else {
        return NO_SLOT;
    };
    let Some(thread) = THREADS.get_ptr_mut(slot) else {
        return NO_SLOT;
    };
    // SAFETY: the record was free, so that nothing else writes it until it can be
    // found: through `SLOT_CACHE` once it has the address of its task, and through
    // `TASK_TO_SLOT`. From then on only `state` is written here.
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
        // If it is on a CPU, the start of its present slice is unknown. Read
        // after its counters, so that these cannot have the run-queue wait of a
        // later slice.
        (*thread).left_at_ns = if field!(task, task_on_cpu: u8) == 0 {
            since_ns
        } else {
            ON_CPU_WHEN_FOUND
        };
        (*thread).task = task as u64;
        (*thread).state = THREAD_LIVE;
    }
    if TASK_TO_SLOT
        .insert(task as u64, slot, u64::from(BPF_NOEXIST))
        .is_err()
    {
        // Another CPU has assigned a record to the task. The map cannot be full
        // before `FREE_SLOTS` is empty.
        // SAFETY: the pointer is to an element. The switch program may have
        // found it through `SLOT_CACHE` meanwhile, and written it: that is
        // discarded, and `TASK_TO_SLOT` has the other record.
        unsafe {
            (*thread).task = 0;
            (*thread).state = THREAD_FREE;
        }
        let _ = FREE_SLOTS.push(slot, 0);
        return slot_of(task, field!(task, task_pid: u32));
    }
    set_dirty(slot);
    slot
}
