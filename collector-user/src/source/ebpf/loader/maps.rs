//! The maps, taken out of the loaded object.

use aya::{
    Ebpf,
    maps::{Map, MapData, MapError, Queue},
};

use super::super::{LoadError, mapped::MappedArray};

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
    ebpf.take_map(name)
        .ok_or_else(|| LoadError::Other(format!("the object has no map {name}")))
}

fn map_error(error: &MapError) -> LoadError {
    LoadError::Other(format!("a map of the programs cannot be used: {error}"))
}
