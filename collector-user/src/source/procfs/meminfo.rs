//! `/proc/meminfo`.

use crate::{
    metric::MemoryStats,
    source::parse::{self, ParseError},
};

/// The field of a line.
type Field = fn(&mut MemoryStats) -> &mut Option<u64>;

/// Lines with the unit `kB`, which is 1024 bytes.
const SIZES: &[(&[u8], Field)] = &[
    (b"MemFree", |stats| &mut stats.free_bytes),
    (b"MemAvailable", |stats| &mut stats.available_bytes),
    (b"Buffers", |stats| &mut stats.buffers_bytes),
    (b"Cached", |stats| &mut stats.cached_bytes),
    (b"SwapCached", |stats| &mut stats.swap_cached_bytes),
    (b"Active", |stats| &mut stats.active_bytes),
    (b"Inactive", |stats| &mut stats.inactive_bytes),
    (b"Active(anon)", |stats| &mut stats.active_anon_bytes),
    (b"Inactive(anon)", |stats| &mut stats.inactive_anon_bytes),
    (b"Active(file)", |stats| &mut stats.active_file_bytes),
    (b"Inactive(file)", |stats| &mut stats.inactive_file_bytes),
    (b"Unevictable", |stats| &mut stats.unevictable_bytes),
    (b"Mlocked", |stats| &mut stats.mlocked_bytes),
    (b"SwapTotal", |stats| &mut stats.swap_total_bytes),
    (b"SwapFree", |stats| &mut stats.swap_free_bytes),
    (b"Zswap", |stats| &mut stats.zswap_bytes),
    (b"Zswapped", |stats| &mut stats.zswapped_bytes),
    (b"Dirty", |stats| &mut stats.dirty_bytes),
    (b"Writeback", |stats| &mut stats.writeback_bytes),
    (b"AnonPages", |stats| &mut stats.anon_bytes),
    (b"Mapped", |stats| &mut stats.mapped_bytes),
    (b"Shmem", |stats| &mut stats.shmem_bytes),
    (b"KReclaimable", |stats| &mut stats.reclaimable_bytes),
    (b"Slab", |stats| &mut stats.slab_bytes),
    (b"SReclaimable", |stats| &mut stats.slab_reclaimable_bytes),
    (b"SUnreclaim", |stats| &mut stats.slab_unreclaimable_bytes),
    (b"KernelStack", |stats| &mut stats.kernel_stack_bytes),
    (b"PageTables", |stats| &mut stats.page_tables_bytes),
    (b"SecPageTables", |stats| {
        &mut stats.secondary_page_tables_bytes
    }),
    (b"CommitLimit", |stats| &mut stats.commit_limit_bytes),
    (b"Committed_AS", |stats| &mut stats.committed_bytes),
    (b"VmallocUsed", |stats| &mut stats.vmalloc_used_bytes),
    (b"Percpu", |stats| &mut stats.percpu_bytes),
    (b"HardwareCorrupted", |stats| {
        &mut stats.hardware_corrupted_bytes
    }),
    (b"AnonHugePages", |stats| &mut stats.anon_huge_pages_bytes),
    (b"ShmemHugePages", |stats| &mut stats.shmem_huge_pages_bytes),
    (b"FileHugePages", |stats| &mut stats.file_huge_pages_bytes),
    (b"CmaTotal", |stats| &mut stats.cma_total_bytes),
    (b"CmaFree", |stats| &mut stats.cma_free_bytes),
    (b"Hugetlb", |stats| &mut stats.hugetlb_bytes),
    (b"Hugepagesize", |stats| &mut stats.huge_page_size_bytes),
];

/// Lines without a unit: counts.
const COUNTS: &[(&[u8], Field)] = &[
    (b"HugePages_Total", |stats| &mut stats.huge_pages_total),
    (b"HugePages_Free", |stats| &mut stats.huge_pages_free),
    (b"HugePages_Rsvd", |stats| &mut stats.huge_pages_reserved),
    (b"HugePages_Surp", |stats| &mut stats.huge_pages_surplus),
];

/// Parses `/proc/meminfo`.
///
/// Unknown lines are skipped: new kernels add some.
///
/// # Errors
///
/// When `MemTotal` is missing, or the value of a known line is not a number.
pub fn parse(bytes: &[u8]) -> Result<MemoryStats, ParseError> {
    let mut stats = MemoryStats::default();
    let mut total = None;
    for (line_number, line) in parse::lines(bytes) {
        let Some((key, value)) = parse::key_value(line) else {
            continue;
        };
        let number = || {
            let word = parse::words(value).next();
            let found = word.and_then(parse::number::<u64>);
            found.ok_or_else(|| {
                let name = String::from_utf8_lossy(key).into_owned();
                ParseError::invalid(name, word.unwrap_or_default(), "a number in range")
                    .in_line(line_number)
            })
        };
        let field = |table: &[(&[u8], Field)]| {
            let row = table.iter().find(|(name, _)| *name == key);
            row.map(|&(_, field)| field)
        };
        if key == b"MemTotal" {
            total = Some(number()?.saturating_mul(1024));
        } else if let Some(size) = field(SIZES) {
            *size(&mut stats) = Some(number()?.saturating_mul(1024));
        } else if let Some(count) = field(COUNTS) {
            *count(&mut stats) = Some(number()?);
        }
    }
    stats.total_bytes = total.ok_or(ParseError::missing("MemTotal"))?;
    // Linux 4.4 to 5.2 show 0 without counting, and a real value is never 0:
    // <https://git.kernel.org/torvalds/c/97105f0ab7b8>.
    stats.vmalloc_used_bytes = stats.vmalloc_used_bytes.filter(|&bytes| bytes != 0);
    // A kernel without huge pages has no such line; lxcfs shows 0 instead.
    stats.huge_page_size_bytes = stats.huge_page_size_bytes.filter(|&bytes| bytes != 0);
    Ok(stats)
}

/// `MemTotal` of a NUMA node, from `/sys/devices/system/node/nodeN/meminfo`, whose lines
/// are those of `/proc/meminfo` with the prefix `Node N`.
pub fn parse_node_total_bytes(bytes: &[u8]) -> Option<u64> {
    parse::lines(bytes).find_map(|(_, line)| {
        let mut words = parse::words(line).skip(2);
        (words.next() == Some(b"MemTotal:"))
            .then(|| words.next().and_then(parse::number::<u64>))
            .flatten()
            .map(|kib| kib.saturating_mul(1024))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_and_counts_are_counts() {
        let stats = parse(
            b"MemTotal:       24684092 kB\nMemFree:        22898132 kB\n\
              Active(anon):       1536 kB\nHugePages_Total:       3\nHugepagesize:       2048 kB\n\
              SomethingNew:       1 kB\n",
        )
        .unwrap();
        assert_eq!(stats.total_bytes, 24_684_092 * 1024);
        assert_eq!(stats.free_bytes, Some(22_898_132 * 1024));
        assert_eq!(stats.active_anon_bytes, Some(1536 * 1024));
        assert_eq!(stats.active_bytes, None);
        assert_eq!(stats.huge_pages_total, Some(3));
        assert_eq!(stats.huge_page_size_bytes, Some(2048 * 1024));
        assert_eq!(stats.available_bytes, None);
    }

    #[test]
    fn an_error_has_the_line_and_the_field() {
        let error = parse(b"MemTotal: 1 kB\nDirty: lots kB\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: Dirty is \"lots\", not a number in range"
        );
        assert_eq!(parse(b"").unwrap_err().to_string(), "MemTotal is missing");
    }

    #[test]
    fn a_value_that_the_kernel_does_not_count_is_unknown() {
        let stats = parse(b"MemTotal: 1 kB\nVmallocUsed: 0 kB\nHugepagesize: 0 kB\n").unwrap();
        assert_eq!(stats.vmalloc_used_bytes, None);
        assert_eq!(stats.huge_page_size_bytes, None);
    }

    #[test]
    fn a_node_has_its_own_total() {
        let meminfo = b"Node 1 MemTotal:       1024 kB\nNode 1 MemFree: 1 kB\n";
        assert_eq!(parse_node_total_bytes(meminfo), Some(1024 * 1024));
        assert_eq!(parse_node_total_bytes(b"Node 1 MemTotal:"), None);
    }
}
