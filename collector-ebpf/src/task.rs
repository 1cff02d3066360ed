use core::{
    intrinsics::{AtomicOrdering, atomic_xadd},
    ptr,
};

use aya_ebpf::helpers::{bpf_get_smp_processor_id, generated};
use collector_ebpf::{
    ABSENT, COMM_LEN, Cpu, GROUP_DEAD, KERNEL_THREAD, NO_THREAD, Offsets, THREAD_LIVE, Thread,
};

use crate::maps::{CPUS, FREE, THREAD_OF, THREADS, recent, touch};

/// Where the fields are in the structures of the running kernel. The loader
/// fills this in and freezes it, so that the verifier knows each offset and
/// leaves out the branches for fields that are absent.
#[unsafe(no_mangle)]
pub(crate) static FIELD_OFFSETS: Offsets = Offsets::UNKNOWN;

/// When the programs were loaded, by the clock of `start_boottime`. The loader
/// fills this in and freezes it.
#[unsafe(no_mangle)]
static LOADED_AT_NS: u64 = u64::MAX;

/// [`LOADED_AT_NS`], as the loader has set it.
#[inline(always)]
pub(crate) fn loaded_at() -> u64 {
    // SAFETY: as in `frozen`.
    unsafe { ptr::read_volatile(&raw const LOADED_AT_NS) }
}

/// A kernel structure that is read at offsets known at load time only.
#[repr(C)]
pub(crate) struct Kernel {
    _opaque: [u8; 0],
}

/// `PF_KTHREAD` of `include/linux/sched.h`; the same since 2.6.27.
const PF_KTHREAD: u32 = 0x0020_0000;
/// `SIGNAL_GROUP_EXIT` of `include/linux/sched/signal.h`.
const SIGNAL_GROUP_EXIT: u32 = 0x4;

/// The frozen value of an element of [`FIELD_OFFSETS`].
#[inline(always)]
pub(crate) fn frozen(offset: &u32) -> u32 {
    // SAFETY: a reference is valid for reads. It is read as volatile because
    // the compiler must not take the value from this object.
    unsafe { ptr::read_volatile(offset) }
}

/// The value at an offset of a structure; the default of its type if the
/// offset is [`ABSENT`].
#[inline(always)]
pub(crate) fn load<T: Copy + Default>(base: *const Kernel, offset: u32) -> T {
    if offset == ABSENT {
        return T::default();
    }
    // SAFETY: the loader took the offset from the kernel's BTF, and the
    // verifier checks the access against it.
    unsafe { *base.byte_add(offset as usize).cast::<T>() }
}

/// As [`load`], by a helper: verifiers before 5.13 do not follow a field into
/// an array of a type that has another name.
#[inline(always)]
pub(crate) fn load_by_helper<T: Copy + Default>(base: *const Kernel, offset: u32) -> T {
    let mut value = T::default();
    if offset != ABSENT {
        // SAFETY: the destination has the size of the type; the helper checks
        // the source.
        unsafe {
            generated::bpf_probe_read_kernel(
                (&raw mut value).cast(),
                size_of::<T>() as u32,
                base.byte_add(offset as usize).cast(),
            );
        }
    }
    value
}

/// The pointer at an offset of a structure; null if the offset is [`ABSENT`].
#[inline(always)]
pub(crate) fn load_pointer(base: *const Kernel, offset: u32) -> *const Kernel {
    if offset == ABSENT {
        return ptr::null();
    }
    // SAFETY: as for `load`.
    unsafe { *base.byte_add(offset as usize).cast::<*const Kernel>() }
}

/// The offset of a field, or [`ABSENT`].
macro_rules! offset {
    ($name:ident) => {
        $crate::task::frozen(&$crate::task::FIELD_OFFSETS.$name)
    };
}

/// The value of a field; the default of its type where the kernel has no such
/// field.
macro_rules! field {
    ($base:expr, $name:ident: $type:ty) => {{
        const { assert!(size_of::<$type>() == collector_ebpf::Offsets::$name()) };
        $crate::task::load::<$type>($base, $crate::task::offset!($name))
    }};
}

/// The value of a field that is a pointer to a structure; null where the
/// kernel has no such field.
macro_rules! pointer {
    ($base:expr, $name:ident) => {
        $crate::task::load_pointer($base, $crate::task::offset!($name))
    };
}

pub(crate) use field;
pub(crate) use offset;
pub(crate) use pointer;

/// The element of `CPUS` of this CPU.
#[inline(always)]
pub(crate) fn this_cpu() -> Option<*mut Cpu> {
    // SAFETY: the helper has no precondition.
    CPUS.get_ptr_mut(unsafe { bpf_get_smp_processor_id() })
}

/// The element of `THREADS` of a task, or [`NO_THREAD`].
///
/// Looks where a task of this number was found last, and only if another one
/// is there by now in the hash map: numbers are given out in a row, so few
/// share a place.
#[inline(always)]
pub(crate) fn thread_of(task: *const Kernel, tid: u32) -> u32 {
    let recent = recent(tid);
    // SAFETY: the place is within the table. Another CPU may write to it: then
    // one or the other is read, and either is checked.
    let index = unsafe { recent.read_volatile() };
    if let Some(thread) = THREADS.get_ptr_mut(index) {
        // SAFETY: the pointer is to an element. If it is that of another task
        // its address differs, and if it is free it has none.
        if unsafe { (&raw const (*thread).task).read_volatile() } == task as u64 {
            return index;
        }
    }
    match THREAD_OF.get_ptr(task as u64) {
        // SAFETY: the pointer is to a live element; should the element be
        // removed and used again meanwhile, the value read is that of another
        // task, which only the last switch of this one could bring about.
        // The place is within the table.
        Some(thread) => unsafe {
            recent.write_volatile(*thread);
            *thread
        },
        None => NO_THREAD,
    }
}

/// When the process of a task began.
#[inline(always)]
pub(crate) fn process_start(task: *const Kernel) -> u64 {
    let leader = pointer!(task, task_group_leader);
    if leader.is_null() {
        0
    } else {
        field!(leader, task_start: u64)
    }
}

/// The process that made the process of a task.
#[inline(always)]
pub(crate) fn parent(task: *const Kernel) -> u32 {
    let parent = pointer!(task, task_real_parent);
    if parent.is_null() {
        0
    } else {
        field!(parent, task_tgid: u32)
    }
}

/// The effective user of a task; `u32::MAX` where it is not known.
#[inline(always)]
pub(crate) fn effective_user(task: *const Kernel) -> u32 {
    let cred = pointer!(task, task_cred);
    if cred.is_null() || offset!(cred_euid) == ABSENT {
        u32::MAX
    } else {
        field!(cred, cred_euid: u32)
    }
}

/// The flags of the record of a task.
#[inline(always)]
pub(crate) fn flags(task: *const Kernel) -> u32 {
    if field!(task, task_flags: u32) & PF_KTHREAD == 0 {
        0
    } else {
        KERNEL_THREAD
    }
}

/// Writes the name of a task to `comm`.
#[inline(always)]
pub(crate) fn read_comm(task: *const Kernel, comm: *mut [u8; COMM_LEN]) {
    let offset = offset!(task_comm);
    if offset != ABSENT {
        // SAFETY: the destination has `COMM_LEN` bytes; the helper checks the
        // source.
        unsafe {
            generated::bpf_probe_read_kernel(
                comm.cast(),
                COMM_LEN as u32,
                task.byte_add(offset as usize).cast(),
            );
        }
    }
}

/// What `wait` would tell of the process of a task whose last thread exits.
///
/// As `wait_task_zombie` of `kernel/exit.c` does it.
#[inline(always)]
pub(crate) fn wait_status(task: *const Kernel) -> u32 {
    if group_exits(task) {
        return field!(pointer!(task, task_signal), signal_group_exit_code: u32);
    }
    let leader = pointer!(task, task_group_leader);
    if leader.is_null() {
        0
    } else {
        field!(leader, task_exit_code: u32)
    }
}

/// Whether the process of a task ends as a whole: by `exit_group`, or a signal.
#[inline(always)]
pub(crate) fn group_exits(task: *const Kernel) -> bool {
    let signal = pointer!(task, task_signal);
    !signal.is_null() && field!(signal, signal_flags: u32) & SIGNAL_GROUP_EXIT != 0
}

/// Whether all threads of the process of a task have begun to exit.
#[inline(always)]
pub(crate) fn group_dead(task: *const Kernel) -> u32 {
    let signal = pointer!(task, task_signal);
    if !signal.is_null() && field!(signal, signal_live: u32) == 0 {
        GROUP_DEAD
    } else {
        0
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

/// Adds one to a counter in one instruction.
///
/// # Safety
///
/// `counter` points to an element of a map.
#[inline(always)]
pub(crate) unsafe fn add_one(counter: *mut u64) {
    // SAFETY: the caller's promise.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, 1) };
}

/// Adds one to a counter of this CPU in one instruction: the program that does
/// so may be preempted by one that writes the same counter.
macro_rules! count {
    ($counter:ident) => {
        if let Some(cpu) = $crate::task::this_cpu() {
            // SAFETY: the pointer is to this CPU's element.
            unsafe { $crate::task::add_one(&raw mut (*cpu).counters.$counter) };
        }
    };
}

pub(crate) use count;

/// As [`give_record`]; if no record is free, that is counted.
#[inline(always)]
pub(crate) fn adopt(task: *const Kernel, flag: u64) -> u32 {
    let index = give_record(task, flag);
    if index == NO_THREAD {
        count!(threads_dropped);
    }
    index
}

/// Gives a task a record, with the counters that it has by now, and marks it
/// as changed. Returns [`NO_THREAD`] if no record is free.
#[inline(always)]
pub(crate) fn give_record(task: *const Kernel, flag: u64) -> u32 {
    let Ok(Some(index)) = FREE.pop() else {
        return NO_THREAD;
    };
    let Some(thread) = THREADS.get_ptr_mut(index) else {
        return NO_THREAD;
    };
    // SAFETY: the record was free, so nobody else writes to it until it is
    // found through `THREAD_OF`.
    unsafe {
        (*thread).tid = field!(task, task_pid: u32);
        (*thread).tgid = field!(task, task_tgid: u32);
        (*thread).process_start_ns = process_start(task);
        (*thread).flags = flags(task);
        (*thread).task_state = field!(task, task_state: u32);
        (*thread).exit_code = 0;
        copy_counters(task, thread);
        (*thread).runqueue_ns = field!(task, task_run_delay: u64);
        (*thread).blocked_ns = 0;
        (*thread).left_at_ns = 0;
        (*thread).woken_at_ns = 0;
        (*thread).task = task as u64;
        (*thread).state = THREAD_LIVE;
    }
    if THREAD_OF.insert(task as u64, index, flag).is_err() {
        // Another CPU was faster, or the map is full, which it is not before
        // `FREE` is empty.
        // SAFETY: as above.
        unsafe {
            (*thread).task = 0;
            (*thread).state = collector_ebpf::THREAD_FREE;
        }
        let _ = FREE.push(index, 0);
        return thread_of(task, field!(task, task_pid: u32));
    }
    touch(index);
    index
}
