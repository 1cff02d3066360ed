use serde::{Deserialize, Serialize};

use super::{Kind, MetricInfo, Reading, Tier};

/// What the memory is used for.
///
/// Source: `/proc/meminfo`. A field is `None` where the kernel is too old for
/// it, or was built without what it tells of.
/// <https://docs.kernel.org/filesystems/proc.html#meminfo>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryStats {
    /// Memory that the kernel can use.
    pub total_bytes: u64,
    /// Memory that is used for nothing.
    pub free_bytes: Option<u64>,
    /// What could be had without swapping, by the kernel's estimate.
    pub available_bytes: Option<u64>,
    /// Cache of block devices.
    pub buffers_bytes: Option<u64>,
    /// Cache of files, shared memory included.
    pub cached_bytes: Option<u64>,
    /// Memory that is in swap space as well.
    pub swap_cached_bytes: Option<u64>,
    /// Used lately.
    pub active_bytes: Option<u64>,
    /// Not used lately, so taken first.
    pub inactive_bytes: Option<u64>,
    /// The part of `active_bytes` that no file stands behind.
    pub active_anon_bytes: Option<u64>,
    /// The part of `inactive_bytes` that no file stands behind.
    pub inactive_anon_bytes: Option<u64>,
    /// The part of `active_bytes` that is of files.
    pub active_file_bytes: Option<u64>,
    /// The part of `inactive_bytes` that is of files.
    pub inactive_file_bytes: Option<u64>,
    /// What cannot be taken.
    pub unevictable_bytes: Option<u64>,
    /// What programs have locked.
    pub mlocked_bytes: Option<u64>,
    /// Swap space.
    pub swap_total_bytes: Option<u64>,
    /// Swap space that is free.
    pub swap_free_bytes: Option<u64>,
    /// Memory that the compressed swap cache takes.
    pub zswap_bytes: Option<u64>,
    /// What is in the compressed swap cache, before compression.
    pub zswapped_bytes: Option<u64>,
    /// Waits to be written to disk.
    pub dirty_bytes: Option<u64>,
    /// Is being written to disk.
    pub writeback_bytes: Option<u64>,
    /// Memory of programs that no file stands behind.
    pub anon_bytes: Option<u64>,
    /// Files that programs have mapped.
    pub mapped_bytes: Option<u64>,
    /// Shared memory, tmpfs included.
    pub shmem_bytes: Option<u64>,
    /// What the kernel itself could give back.
    pub reclaimable_bytes: Option<u64>,
    /// Memory of the kernel for its small objects.
    pub slab_bytes: Option<u64>,
    /// The part of `slab_bytes` that it could give back.
    pub slab_reclaimable_bytes: Option<u64>,
    /// The part of `slab_bytes` that it could not.
    pub slab_unreclaimable_bytes: Option<u64>,
    /// Stacks of tasks in the kernel.
    pub kernel_stack_bytes: Option<u64>,
    /// Page tables.
    pub page_tables_bytes: Option<u64>,
    /// Page tables of guests and of IOMMUs.
    pub secondary_page_tables_bytes: Option<u64>,
    /// What may be promised to programs, where that is limited.
    pub commit_limit_bytes: Option<u64>,
    /// What has been promised to programs.
    pub committed_bytes: Option<u64>,
    /// Memory of the kernel that lies together in its address space only.
    pub vmalloc_used_bytes: Option<u64>,
    /// Memory of the kernel that each CPU has its own copy of.
    pub percpu_bytes: Option<u64>,
    /// Memory that was found broken, and is not used.
    pub hardware_corrupted_bytes: Option<u64>,
    /// The part of `anon_bytes` in huge pages.
    pub anon_huge_pages_bytes: Option<u64>,
    /// The part of `shmem_bytes` in huge pages.
    pub shmem_huge_pages_bytes: Option<u64>,
    /// The part of `cached_bytes` in huge pages.
    pub file_huge_pages_bytes: Option<u64>,
    /// Memory set aside for devices that need it in one piece.
    pub cma_total_bytes: Option<u64>,
    /// The part of `cma_total_bytes` that is free.
    pub cma_free_bytes: Option<u64>,
    /// Memory in pools of huge pages of all sizes.
    pub hugetlb_bytes: Option<u64>,
    /// Huge pages of the default size.
    pub huge_pages_total: Option<u64>,
    /// Those that are free.
    pub huge_pages_free: Option<u64>,
    /// Those that are promised, but not used yet.
    pub huge_pages_reserved: Option<u64>,
    /// Those beyond the size of the pool.
    pub huge_pages_surplus: Option<u64>,
    /// The default size of a huge page.
    pub huge_page_size_bytes: Option<u64>,
}

impl Reading for MemoryStats {
    const METRIC: MetricInfo = MetricInfo {
        name: "memory_stats",
        tier: Tier::System,
        kind: Kind::State,
        help: "What the memory is used for",
    };

    fn heap_bytes(&self) -> usize {
        0
    }
}
