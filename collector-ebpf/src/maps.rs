use core::cell::UnsafeCell;

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, HashMap, PerCpuArray, Queue, RingBuf},
    macros::btf_map,
};
use collector_ebpf::{
    Cpu, CpuReading, EventHeader, ExecEvent, PREEMPTIONS_MAX, Preemption, TOUCHED_PAGE, TaskEntry,
    Thread,
};

const MMAPABLE: usize = BPF_F_MMAPABLE as usize;

// The sizes here are placeholders: the loader sets those that the host needs.

/// One element a possible CPU. Not a per-CPU array, which cannot be mapped
/// into user space.
#[btf_map]
pub(crate) static CPUS: Array<Cpu, 1, MMAPABLE> = Array::new();

/// One element a possible CPU, written when user space asks for it.
#[btf_map]
pub(crate) static CPU_TIMES: Array<CpuReading, 1, MMAPABLE> = Array::new();

/// One element a thread.
#[btf_map]
pub(crate) static THREADS: Array<Thread, 4096, MMAPABLE> = Array::new();

/// The element of `THREADS` of a task, by the address of its `task_struct`:
/// that is the task's own from its fork to its last switch, while its number
/// may pass to another thread by `execve`, and to another task before the
/// last switch.
#[btf_map]
pub(crate) static THREAD_OF: HashMap<u64, u32, 4096> = HashMap::new();

/// How many places [`RECENT`] has: as many as there are task numbers in a row
/// on most hosts, and 256 KiB.
const RECENT_PLACES: usize = 1 << 16;

/// A table that programs on all CPUs write to.
#[repr(transparent)]
struct Shared<T>(UnsafeCell<T>);

// SAFETY: it is only read and written as single words.
unsafe impl<T> Sync for Shared<T> {}

/// The element of `THREADS` that a task with this number had when it was last
/// looked for. Not to be trusted: see [`thread_of`](crate::record::thread_of).
static RECENT: Shared<[u32; RECENT_PLACES]> = Shared(UnsafeCell::new([0; RECENT_PLACES]));

/// The place in [`RECENT`] of a task's number.
#[inline(always)]
pub(crate) fn recent(tid: u32) -> *mut u32 {
    let place = tid as usize % RECENT_PLACES;
    // SAFETY: the place is within the table.
    unsafe { RECENT.0.get().cast::<u32>().add(place) }
}

/// The free elements of `THREADS`. User space fills it.
#[btf_map]
pub(crate) static FREE: Queue<u32, 4096> = Queue::new();

/// A byte for each element of `THREADS`, that is set when the element changes
/// and cleared when user space has read it.
#[btf_map]
pub(crate) static TOUCHED: Array<[u8; TOUCHED_PAGE], 1, MMAPABLE> = Array::new();

/// The lifecycle events, on their way to user space.
#[btf_map]
pub(crate) static EVENTS: RingBuf<EventHeader, 4096> = RingBuf::new();

/// How often a task of one cgroup lost its CPU to a task of another.
#[btf_map]
pub(crate) static PREEMPTIONS: HashMap<Preemption, u64, PREEMPTIONS_MAX> = HashMap::new();

/// The same of all pairs of cgroups that found no room in `PREEMPTIONS`.
#[btf_map]
pub(crate) static OTHER_PREEMPTIONS: Array<u64, 1> = Array::new();

/// Where an [`ExecEvent`] is put together: it is too large for the stack.
#[btf_map]
pub(crate) static EXEC_SCRATCH: PerCpuArray<ExecEvent, 1> = PerCpuArray::new();

/// Where a [`TaskEntry`] is put together.
#[btf_map]
pub(crate) static ENTRY_SCRATCH: PerCpuArray<TaskEntry, 1> = PerCpuArray::new();

/// Marks an element of `THREADS` as changed.
#[inline(always)]
pub(crate) fn touch(thread: u32) {
    if let Some(page) = TOUCHED.get_ptr_mut(thread / TOUCHED_PAGE as u32) {
        let within = thread as usize % TOUCHED_PAGE;
        // SAFETY: `within` is less than the size of the element.
        unsafe {
            page.cast::<u8>().add(within).write_volatile(1);
        }
    }
}
