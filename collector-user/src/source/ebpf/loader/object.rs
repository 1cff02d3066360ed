//! The compiled programs, with what is set in them before the kernel gets them.

use std::fs;

use aya::{Ebpf, EbpfLoader};
use collector_ebpf::CpuOffsets;

use super::{
    super::{LoadError, LoadOptions, cpu_offsets, offsets::KernelOffsets},
    fields,
    refusal::describe,
    sizes::Sizes,
};

/// Built by `cargo xtask build-ebpf`.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!("../collector.bpf.o");

/// Makes the maps, and takes the programs out of the object. None of them is
/// with the kernel yet.
pub(super) fn load(
    options: &LoadOptions,
    sizes: Sizes,
    offsets: &KernelOffsets,
    cpu_offsets: &CpuOffsets,
    loaded_at_ns: u64,
) -> Result<Ebpf, LoadError> {
    let mut object = match &options.object {
        None => OBJECT.to_vec(),
        Some(path) => fs::read(path).map_err(|error| {
            LoadError::Other(format!(
                "cannot read the object {}: {error}",
                path.display()
            ))
        })?,
    };
    fields::fill(&mut object, &offsets.words).map_err(|problem| {
        LoadError::Other(match &options.object {
            None => format!("the built-in object: {problem}"),
            Some(path) => format!(
                "the object {}: {problem}; build it from the source of this program",
                path.display()
            ),
        })
    })?;
    EbpfLoader::new()
        .override_global("LOADED_AT_NS", &loaded_at_ns, true)
        .override_global("FIELD_OFFSETS", offsets.words.as_slice(), true)
        .override_global(
            "CPU_OFFSETS",
            cpu_offsets::words(cpu_offsets).as_slice(),
            true,
        )
        .map_max_entries("CPUS", sizes.cpus)
        .map_max_entries("CPU_TIMES", sizes.cpus)
        .map_max_entries("THREADS", sizes.threads)
        .map_max_entries("THREAD_OF", sizes.threads)
        .map_max_entries("FREE", sizes.threads)
        .map_max_entries("TOUCHED", sizes.touched_pages())
        .map_max_entries("EVENTS", sizes.events_bytes)
        .map_max_entries("PREEMPTIONS", sizes.preemption_pairs)
        .load(&object)
        .map_err(|error| describe(&error, sizes.bytes()))
}
