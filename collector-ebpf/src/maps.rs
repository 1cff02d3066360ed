use core::cell::UnsafeCell;

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, HashMap, PerCpuArray, Queue, RingBuf},
    macros::btf_map,
};
use collector_ebpf::{
    Cpu, CpuReading, DIRTY_PAGE, EventHeader, ExecEvent, PREEMPTIONS_MAX, Preemption, TaskEntry,
    Thread,
};

const MMAPABLE: usize = BPF_F_MMAPABLE as usize;

// The sizes here are placeholders: the loader sets the sizes for the host.

/// One element per possible CPU. Not a per-CPU array, because those cannot be
/// mapped into user space.
#[btf_map]
pub(crate) static CPUS: Array<Cpu, 1, MMAPABLE> = Array::new();

/// One element per possible CPU, written when user space runs `read_cpus`.
#[btf_map]
pub(crate) static CPU_TIMES: Array<CpuReading, 1, MMAPABLE> = Array::new();

/// One element (slot) per thread.
#[btf_map]
pub(crate) static THREADS: Array<Thread, 4096, MMAPABLE> = Array::new();

/// The element of `THREADS` of a task, by the address of its `task_struct`.
/// The address is unique from the fork to the last switch-out, whereas `execve`
/// may pass the thread ID on to another thread, and a thread ID may be reused
/// before the last switch-out.
#[btf_map]
pub(crate) static TASK_TO_SLOT: HashMap<u64, u32, 4096> = HashMap::new();

/// The number of entries of [`SLOT_CACHE`]: 256 KiB.
const SLOT_CACHE_LEN: usize = 1 << 16;

/// A table that programs on all CPUs write.
#[repr(transparent)]
struct Shared<T>(UnsafeCell<T>);

// SAFETY: it is read and written one word at a time, by volatile accesses.
unsafe impl<T> Sync for Shared<T> {}

/// A direct-mapped cache in front of [`TASK_TO_SLOT`], indexed by thread ID: the
/// element of `THREADS` that was last found for such a thread. May be stale, so
/// that each hit is verified: see [`find`](crate::record::find).
static SLOT_CACHE: Shared<[u32; SLOT_CACHE_LEN]> = Shared(UnsafeCell::new([0; SLOT_CACHE_LEN]));

/// The entry of [`SLOT_CACHE`] for a thread ID.
#[inline(always)]
pub(crate) fn cached_slot(tid: u32) -> *mut u32 {
    let entry = tid as usize % SLOT_CACHE_LEN;
    // SAFETY: the entry is within the table.
    unsafe { SLOT_CACHE.0.get().cast::<u32>().add(entry) }
}

/// The free elements of `THREADS`. Filled by user space.
#[btf_map]
pub(crate) static FREE_SLOTS: Queue<u32, 4096> = Queue::new();

/// One byte per element of `THREADS`: set when the element changes, cleared by
/// user space when it drains the map.
#[btf_map]
pub(crate) static DIRTY: Array<[u8; DIRTY_PAGE], 1, MMAPABLE> = Array::new();

/// The lifecycle events.
#[btf_map]
pub(crate) static EVENTS: RingBuf<EventHeader, 4096> = RingBuf::new();

/// The number of preemptions of tasks of one cgroup by tasks of another.
#[btf_map]
pub(crate) static PREEMPTIONS: HashMap<Preemption, u64, PREEMPTIONS_MAX> = HashMap::new();

/// The number of preemptions between pairs of cgroups that did not fit in
/// `PREEMPTIONS`.
#[btf_map]
pub(crate) static OTHER_PREEMPTIONS: Array<u64, 1> = Array::new();

/// Scratch memory for an [`ExecEvent`], which is too large for the stack.
#[btf_map]
pub(crate) static EXEC_SCRATCH: PerCpuArray<ExecEvent, 1> = PerCpuArray::new();

/// Scratch memory for a [`TaskEntry`].
#[btf_map]
pub(crate) static ENTRY_SCRATCH: PerCpuArray<TaskEntry, 1> = PerCpuArray::new();

/// Sets the dirty byte of an element of `THREADS`.
#[inline(always)]
pub(crate) fn set_dirty(slot: u32) {
    if let Some(page) = DIRTY.get_ptr_mut(slot / DIRTY_PAGE as u32) {
        let within = slot as usize % DIRTY_PAGE;
        // SAFETY: `within` is less than the size of the element.
        unsafe {
            page.cast::<u8>().add(within).write_volatile(1);
        }
    }
}
