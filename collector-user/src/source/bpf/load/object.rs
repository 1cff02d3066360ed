//! The compiled programs, with the globals and sizes that are set before they are
//! loaded.

use std::fs;

use aya::{Ebpf, EbpfLoader};
use collector_ebpf::CpuOffsets;

use super::{
    LoadError, LoadOptions, fields, offsets::KernelOffsets, refusal::load_error, sizes::Sizes,
};

/// Built by `cargo xtask build-ebpf`.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!("../collector.bpf.o");

/// Creates the maps, and parses the programs, none of which is loaded yet.
pub(super) fn load(
    options: &LoadOptions,
    sizes: Sizes,
    offsets: &KernelOffsets,
    cpu_offsets: &CpuOffsets,
    loaded_at_ns: u64,
) -> Result<Ebpf, LoadError> {
    let mut object = match &options.object {
        None => OBJECT.to_vec(),
        Some(path) => fs::read(path).map_err(|error| LoadError::ReadObject {
            path: path.clone(),
            error,
        })?,
    };
    fields::fill(&mut object, &offsets.words).map_err(|error| LoadError::Object {
        path: options.object.clone(),
        error,
    })?;
    EbpfLoader::new()
        .override_global("LOADED_AT_NS", &loaded_at_ns, true)
        .override_global("FIELD_OFFSETS", offsets.words.as_slice(), true)
        .override_global("CPU_OFFSETS", cpu_offsets, true)
        .map_max_entries("CPUS", sizes.cpus)
        .map_max_entries("CPU_TIMES", sizes.cpus)
        .map_max_entries("THREADS", sizes.threads)
        .map_max_entries("TASK_TO_SLOT", sizes.threads)
        .map_max_entries("FREE_SLOTS", sizes.threads)
        .map_max_entries("DIRTY", sizes.dirty_pages())
        .map_max_entries("EVENTS", sizes.events_bytes)
        .map_max_entries("PREEMPTIONS", sizes.preemption_pairs)
        .load(&object)
        .map_err(|error| load_error(error, sizes.bytes()))
}
