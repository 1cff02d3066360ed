//! Taking the maps out of the loaded object.

use aya::{
    Ebpf,
    maps::{Map, MapData, MapError, Queue},
};
use collector_ebpf::{Cpu, CpuReading, DIRTY_PAGE, ExecEvent, TaskEntry, Thread};

use super::{super::maps::MappedArray, LoadError};

/// Whether the elements of the maps have the size of the records of this program,
/// which they have not if the object was built from other source.
pub(super) fn check_sizes(ebpf: &Ebpf) -> Result<(), LoadError> {
    for (name, expected) in [
        ("CPUS", size_of::<Cpu>()),
        ("CPU_TIMES", size_of::<CpuReading>()),
        ("THREADS", size_of::<Thread>()),
        ("DIRTY", DIRTY_PAGE),
        ("ENTRY_SCRATCH", size_of::<TaskEntry>()),
        ("EXEC_SCRATCH", size_of::<ExecEvent>()),
        ("PREEMPTIONS", size_of::<u64>()),
    ] {
        let map = ebpf.map(name).ok_or(LoadError::NoMap(name))?;
        let (Map::Array(data) | Map::PerCpuArray(data) | Map::HashMap(data)) = map else {
            return Err(LoadError::MapType(name));
        };
        same_size(name, data.info()?.value_size() as usize, expected)?;
    }
    Ok(())
}

fn same_size(map: &'static str, bytes: usize, expected: usize) -> Result<(), LoadError> {
    if bytes == expected {
        return Ok(());
    }
    Err(LoadError::MapSize {
        map,
        bytes,
        expected,
    })
}

/// The map `FREE_SLOTS`, filled with this many slots.
pub(super) fn free_slots(ebpf: &mut Ebpf, slots: u32) -> Result<Queue<MapData, u32>, LoadError> {
    let mut free: Queue<_, u32> = take(ebpf, "FREE_SLOTS")?;
    for slot in 0..slots {
        free.push(slot, 0)?;
    }
    Ok(free)
}

/// A map that is read and written by system calls.
pub(super) fn take<M>(ebpf: &mut Ebpf, name: &'static str) -> Result<M, LoadError>
where
    M: TryFrom<Map, Error = MapError>,
{
    Ok(M::try_from(named(ebpf, name)?)?)
}

/// An array, to be [`mapped`].
pub(super) fn array(ebpf: &mut Ebpf, name: &'static str) -> Result<MapData, LoadError> {
    match named(ebpf, name)? {
        Map::Array(data) => Ok(data),
        _ => Err(LoadError::MapType(name)),
    }
}

/// Maps an array into memory, where it is read without a system call.
pub(super) fn mapped<T>(array: MapData, length: u32) -> Result<MappedArray<T>, LoadError> {
    MappedArray::new(array, length).map_err(LoadError::MapMemory)
}

fn named(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, LoadError> {
    ebpf.take_map(name).ok_or(LoadError::NoMap(name))
}

#[cfg(test)]
mod tests {
    use super::same_size;

    #[test]
    fn an_object_of_other_source_is_refused_by_the_size_of_its_records() {
        assert!(same_size("THREADS", 128, 128).is_ok());
        let error = same_size("THREADS", 128, 136).unwrap_err().to_string();
        assert!(
            error.contains("THREADS has 128 bytes, and not 136"),
            "{error}"
        );
    }
}
