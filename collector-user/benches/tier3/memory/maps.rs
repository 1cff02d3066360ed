//! The maps of a process, by its descriptors.

use std::{collections::BTreeMap, fs, mem::offset_of};

use aya::maps::{Array, Map as AyaMap, MapData, MapInfo};
use collector_ebpf::{THREAD_FREE, Thread};

use crate::run::Failure;

pub(super) struct Map {
    id: u32,
    pub(super) name: String,
    pub(super) elements: u64,
    pub(super) bytes: u64,
}

/// The maps that the process has open, without duplicates.
pub(super) fn of(pid: u32) -> Result<Vec<Map>, Failure> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))?.flatten() {
        let Ok(text) = fs::read_to_string(entry.path()) else {
            continue;
        };
        let field = |name: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.strip_prefix(':')?.trim().parse().ok()
        };
        let (Some(id), Some(bytes), Some(elements)) =
            (field("map_id"), field("memlock"), field("max_entries"))
        else {
            continue;
        };
        let id = u32::try_from(id)?;
        let info = MapInfo::from_id(id)?;
        found.insert(
            id,
            Map {
                id,
                name: info.name_as_str().unwrap_or_default().to_owned(),
                elements,
                bytes,
            },
        );
    }
    Ok(found.into_values().collect())
}

/// The number of thread records that are not free.
pub(super) fn records_in_use(maps: &[Map]) -> Result<usize, Failure> {
    let threads = maps.iter().find(|map| map.name == "THREADS");
    let id = threads.ok_or("there is no map THREADS")?.id;
    let array =
        Array::<_, [u8; size_of::<Thread>()]>::try_from(AyaMap::Array(MapData::from_id(id)?))?;
    let mut in_use = 0;
    for index in 0..array.len() {
        let record = array.get(&index, 0)?;
        let at = offset_of!(Thread, state);
        let state = record.get(at..at + 2).ok_or("a record is too short")?;
        if u16::from_ne_bytes(state.try_into()?) != THREAD_FREE {
            in_use += 1;
        }
    }
    Ok(in_use)
}

/// The highest number of a possible CPU of this host, plus one.
pub(super) fn possible_cpus() -> Result<u32, Failure> {
    let list = fs::read_to_string("/sys/devices/system/cpu/possible")?;
    let highest = list.trim().rsplit([',', '-']).next().unwrap_or_default();
    Ok(highest.parse::<u32>()? + 1)
}

pub(super) fn pid_max() -> Result<u32, Failure> {
    Ok(fs::read_to_string("/proc/sys/kernel/pid_max")?
        .trim()
        .parse()?)
}
