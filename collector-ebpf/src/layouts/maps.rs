use core::{cell::UnsafeCell, ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{
        BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, BPF_LOCAL_STORAGE_GET_F_CREATE,
        bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE,
    },
    btf_maps::{Array, ArrayOfMaps, HashMap, LruHashMap, PerCpuArray, PerCpuHashMap},
    helpers::generated::bpf_task_storage_get,
    macros::btf_map,
};

/// The number of elements of a map.
pub(crate) const PLACES: u32 = 1 << 15;
const MAX_ENTRIES: usize = PLACES as usize;

/// The counters of one thread or process.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Charge {
    pub(crate) cpu_ns: u64,
    pub(crate) switches: u64,
    pub(crate) task: u64,
}

impl Charge {
    pub(crate) const fn first(ns: u64) -> Self {
        Self {
            cpu_ns: ns,
            switches: 1,
            task: 0,
        }
    }
}

/// The time of the last switch of this CPU.
#[btf_map]
pub(crate) static SINCE: PerCpuArray<u64, 1> = PerCpuArray::new();

#[btf_map]
pub(crate) static DENSE: Array<Charge, MAX_ENTRIES, { BPF_F_MMAPABLE as usize }> = Array::new();

#[btf_map]
pub(crate) static BY_TID: HashMap<u32, Charge, MAX_ENTRIES> = HashMap::new();

#[btf_map]
pub(crate) static LRU_BY_TID: LruHashMap<u32, Charge, MAX_ENTRIES> = LruHashMap::new();

#[btf_map]
pub(crate) static PER_CPU_TGID: PerCpuHashMap<u32, Charge, MAX_ENTRIES> = PerCpuHashMap::new();

/// The maps by CPU and generation; filled by user space.
#[btf_map]
pub(crate) static GENERATIONS: ArrayOfMaps<HashMap<u32, Charge, MAX_ENTRIES>, 1024> =
    ArrayOfMaps::new();

#[btf_map]
pub(crate) static TASK: TaskStorage<Charge> = TaskStorage::new();

#[btf_map]
pub(crate) static BY_ADDRESS: HashMap<u64, u32, MAX_ENTRIES> = HashMap::new();

/// The generation that is written: its lowest bit selects the inner map.
#[unsafe(no_mangle)]
pub(crate) static GENERATION: Word = Word(UnsafeCell::new(0));

/// The element of [`DENSE`] that was last found for a thread ID.
static RECENT: Words = Words(UnsafeCell::new([0; MAX_ENTRIES]));

/// A word that several CPUs read and write.
#[repr(transparent)]
pub(crate) struct Word(UnsafeCell<u32>);

// SAFETY: it is read and written as a whole.
unsafe impl Sync for Word {}

impl Word {
    #[inline(always)]
    pub(crate) const fn get(&self) -> *mut u32 {
        self.0.get()
    }
}

/// Words that several CPUs read and write.
#[repr(transparent)]
struct Words(UnsafeCell<[u32; MAX_ENTRIES]>);

// SAFETY: each is read and written as a whole.
unsafe impl Sync for Words {}

/// The entry of [`RECENT`] for a thread ID.
#[inline(always)]
pub(crate) fn recent(tid: u32) -> *mut u32 {
    // SAFETY: the entry is within the table.
    unsafe { RECENT.0.get().cast::<u32>().add((tid % PLACES) as usize) }
}

/// `BPF_MAP_TYPE_TASK_STORAGE`, as a BTF-defined map.
#[repr(C)]
pub(crate) struct TaskStorage<T> {
    r#type: *const [i32; BPF_MAP_TYPE_TASK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: the pointers only define the types of the map, and are not
// dereferenced.
unsafe impl<T> Sync for TaskStorage<T> {}

impl<T> TaskStorage<T> {
    const fn new() -> Self {
        Self {
            r#type: ptr::null(),
            key: ptr::null(),
            value: ptr::null(),
            max_entries: ptr::null(),
            map_flags: ptr::null(),
        }
    }
}

/// The value of a task, created if it has none.
#[inline(always)]
pub(crate) fn storage<T>(map: &'static TaskStorage<T>, task: *const c_void) -> Option<*mut T> {
    // SAFETY: the first argument is a map, and the verifier checks that the
    // second one is a pointer to a task.
    let found = unsafe {
        bpf_task_storage_get(
            ptr::from_ref(map).cast_mut().cast(),
            task.cast_mut().cast(),
            ptr::null_mut(),
            u64::from(BPF_LOCAL_STORAGE_GET_F_CREATE),
        )
    };
    (!found.is_null()).then_some(found.cast())
}
