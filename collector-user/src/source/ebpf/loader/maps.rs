//! The maps, taken out of the loaded object.

use aya::{
    Ebpf,
    maps::{Map, MapData, MapError, Queue},
};

use collector_ebpf::{Cpu, CpuReading, ExecEvent, TOUCHED_PAGE, TaskEntry, Thread};

use super::{
    super::{LoadError, mapped::MappedArray},
    refusal::with_causes,
};

/// Whether the elements of the maps are as long as the records of this program:
/// those of an object that was built from other source are not.
pub(super) fn check_sizes(ebpf: &Ebpf) -> Result<(), LoadError> {
    for (name, expected) in [
        ("CPUS", size_of::<Cpu>()),
        ("CPU_TIMES", size_of::<CpuReading>()),
        ("THREADS", size_of::<Thread>()),
        ("TOUCHED", TOUCHED_PAGE),
        ("ENTRY_SCRATCH", size_of::<TaskEntry>()),
        ("EXEC_SCRATCH", size_of::<ExecEvent>()),
        ("PREEMPTIONS", size_of::<u64>()),
    ] {
        let map = ebpf.map(name).ok_or_else(|| missing(name))?;
        let (Map::Array(data) | Map::PerCpuArray(data) | Map::HashMap(data)) = map else {
            return Err(LoadError::Other(format!(
                "the map {name} is of another type"
            )));
        };
        let info = data.info().map_err(|error| map_error(&error))?;
        same_size(name, info.value_size() as usize, expected)?;
    }
    Ok(())
}

fn same_size(name: &str, bytes: usize, expected: usize) -> Result<(), LoadError> {
    if bytes == expected {
        return Ok(());
    }
    Err(LoadError::Other(format!(
        "an element of the map {name} has {bytes} bytes, and not {expected}: the object was built \
         from other source than this program"
    )))
}

/// The map `FREE`, with the numbers of as many records in it as there are.
pub(super) fn free(ebpf: &mut Ebpf, records: u32) -> Result<Queue<MapData, u32>, LoadError> {
    let mut free: Queue<_, u32> = take(ebpf, "FREE")?;
    for index in 0..records {
        free.push(index, 0).map_err(|error| map_error(&error))?;
    }
    Ok(free)
}

/// A map that is read and written by system calls.
pub(super) fn take<M>(ebpf: &mut Ebpf, name: &str) -> Result<M, LoadError>
where
    M: TryFrom<Map, Error = MapError>,
{
    M::try_from(named(ebpf, name)?).map_err(|error| map_error(&error))
}

/// An array that is yet to be [`mapped`].
pub(super) fn array(ebpf: &mut Ebpf, name: &str) -> Result<MapData, LoadError> {
    match named(ebpf, name)? {
        Map::Array(data) => Ok(data),
        _ => Err(LoadError::Other(format!("the map {name} is not an array"))),
    }
}

/// An array as this process reads it without a system call.
pub(super) fn mapped<T>(array: MapData, length: u32) -> Result<MappedArray<T>, LoadError> {
    MappedArray::new(array, length).map_err(|error| {
        LoadError::Other(format!(
            "cannot map an array of the programs into memory: {error}"
        ))
    })
}

fn named(ebpf: &mut Ebpf, name: &str) -> Result<Map, LoadError> {
    ebpf.take_map(name).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> LoadError {
    LoadError::Other(format!("the object has no map {name}"))
}

fn map_error(error: &MapError) -> LoadError {
    LoadError::Other(format!(
        "a map of the programs cannot be used: {}",
        with_causes(error)
    ))
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
