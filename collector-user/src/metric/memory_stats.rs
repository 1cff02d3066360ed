use serde::{Deserialize, Serialize};

use super::Reading;

/// Memory use of the system.
///
/// A field is `None` where the kernel is too old for it, or was built without the feature.
/// <https://docs.kernel.org/filesystems/proc.html#meminfo>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Reading)]
#[metric(
    name = "memory_stats",
    tier = "system",
    prefix = "host_memory",
    sources("/proc/meminfo")
)]
pub struct MemoryStats {
    /// Usable memory (`MemTotal`): physical memory without what is reserved at boot and the kernel
    /// image.
    #[field(1)]
    pub total_bytes: u64,
    /// Free memory.
    #[field(2)]
    pub free_bytes: Option<u64>,
    /// Memory available for new programs without swapping, as the kernel estimates it.
    #[field(3)]
    pub available_bytes: Option<u64>,
    /// Page cache of block devices.
    #[field(4)]
    pub buffers_bytes: Option<u64>,
    /// Page cache of files, shared memory and tmpfs included.
    #[field(5)]
    pub cached_bytes: Option<u64>,
    /// Swap cache: memory that is in swap space as well.
    #[field(6)]
    pub swap_cached_bytes: Option<u64>,
    /// Active: recently used, on the active LRU lists.
    #[field(7)]
    pub active_bytes: Option<u64>,
    /// Inactive: reclaimed first.
    #[field(8)]
    pub inactive_bytes: Option<u64>,
    /// Anonymous part of `active_bytes`.
    #[field(9)]
    pub active_anon_bytes: Option<u64>,
    /// Anonymous part of `inactive_bytes`.
    #[field(10)]
    pub inactive_anon_bytes: Option<u64>,
    /// File-backed part of `active_bytes`.
    #[field(11)]
    pub active_file_bytes: Option<u64>,
    /// File-backed part of `inactive_bytes`.
    #[field(12)]
    pub inactive_file_bytes: Option<u64>,
    /// Unevictable: cannot be reclaimed.
    #[field(13)]
    pub unevictable_bytes: Option<u64>,
    /// Locked by `mlock(2)`.
    #[field(14)]
    pub mlocked_bytes: Option<u64>,
    /// Swap space.
    #[field(15)]
    pub swap_total_bytes: Option<u64>,
    /// Free swap space.
    #[field(16)]
    pub swap_free_bytes: Option<u64>,
    /// Memory used by zswap, compressed.
    #[field(17)]
    pub zswap_bytes: Option<u64>,
    /// Memory stored in zswap, before compression.
    #[field(18)]
    pub zswapped_bytes: Option<u64>,
    /// Dirty pages: wait for writeback.
    #[field(19)]
    pub dirty_bytes: Option<u64>,
    /// Pages under writeback.
    #[field(20)]
    pub writeback_bytes: Option<u64>,
    /// Anonymous memory mapped by programs.
    #[field(21)]
    pub anon_bytes: Option<u64>,
    /// Files mapped by programs.
    #[field(22)]
    pub mapped_bytes: Option<u64>,
    /// Shared memory, tmpfs included.
    #[field(23)]
    pub shmem_bytes: Option<u64>,
    /// Kernel memory that can be reclaimed (`KReclaimable`).
    #[field(24)]
    pub reclaimable_bytes: Option<u64>,
    /// Slab: kernel data structures.
    #[field(25)]
    pub slab_bytes: Option<u64>,
    /// Reclaimable part of `slab_bytes`.
    #[field(26)]
    pub slab_reclaimable_bytes: Option<u64>,
    /// Unreclaimable part of `slab_bytes`.
    #[field(27)]
    pub slab_unreclaimable_bytes: Option<u64>,
    /// Kernel stacks of tasks.
    #[field(28)]
    pub kernel_stack_bytes: Option<u64>,
    /// Page tables.
    #[field(29)]
    pub page_tables_bytes: Option<u64>,
    /// Secondary page tables: of KVM guests and IOMMUs.
    #[field(30)]
    pub secondary_page_tables_bytes: Option<u64>,
    /// Commit limit, which holds with strict overcommit only (`vm.overcommit_memory` 2).
    #[field(31)]
    pub commit_limit_bytes: Option<u64>,
    /// Committed address space (`Committed_AS`).
    #[field(32)]
    pub committed_bytes: Option<u64>,
    /// Memory allocated by vmalloc.
    #[field(33)]
    pub vmalloc_used_bytes: Option<u64>,
    /// Memory of the per-CPU allocator.
    #[field(34)]
    pub percpu_bytes: Option<u64>,
    /// Memory with uncorrectable errors, taken out of use (`HardwareCorrupted`).
    #[field(35)]
    pub hardware_corrupted_bytes: Option<u64>,
    /// Transparent huge pages in `anon_bytes`.
    #[field(36)]
    pub anon_huge_pages_bytes: Option<u64>,
    /// Huge pages in `shmem_bytes`.
    #[field(37)]
    pub shmem_huge_pages_bytes: Option<u64>,
    /// Huge pages in `cached_bytes`.
    #[field(38)]
    pub file_huge_pages_bytes: Option<u64>,
    /// Memory reserved for the contiguous memory allocator (CMA).
    #[field(39)]
    pub cma_total_bytes: Option<u64>,
    /// Free part of `cma_total_bytes`.
    #[field(40)]
    pub cma_free_bytes: Option<u64>,
    /// Memory in hugetlb pools of all sizes.
    #[field(41)]
    pub hugetlb_bytes: Option<u64>,
    /// Huge pages of the default size.
    #[field(42)]
    pub huge_pages_total: Option<u64>,
    /// Those that are free.
    #[field(43)]
    pub huge_pages_free: Option<u64>,
    /// Those that are promised, but not used yet.
    #[field(44)]
    pub huge_pages_reserved: Option<u64>,
    /// Those beyond the size of the pool.
    #[field(45)]
    pub huge_pages_surplus: Option<u64>,
    /// The default size of a huge page.
    #[field(46)]
    pub huge_page_size_bytes: Option<u64>,
}
