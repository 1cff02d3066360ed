//! The memory of the maps in the kernel is that of the formula.

use std::{collections::BTreeMap, fs};

use collector::source::bpf::map_bytes;

use crate::{cpu_times::cpu_list, load};

/// What the formula leaves out: in each map what describes it, constants, and
/// elements that a hash keeps in reserve for each CPU.
const BESIDES: u64 = 256 << 10;

/// The maps of this process by ID, with the memory of each: `bpf_map_show_fdinfo` of `kernel/bpf/syscall.c`.
fn maps_of_this_process() -> BTreeMap<u64, u64> {
    let files = fs::read_dir("/proc/self/fdinfo").expect("it can be listed");
    files
        // The one that lists them is gone.
        .filter_map(|file| fs::read_to_string(file.ok()?.path()).ok())
        .filter_map(|text| {
            let field = |name: &str| {
                let value = text.lines().find_map(|line| line.strip_prefix(name))?;
                value.trim().parse().ok()
            };
            Some((field("map_id:")?, field("memlock:")?))
        })
        .collect()
}

#[test]
fn the_memory_of_the_maps_is_that_of_the_formula() {
    let before = maps_of_this_process();
    let accountant = load();
    let mut maps = maps_of_this_process();
    maps.retain(|id, _bytes| !before.contains_key(id));
    let taken: u64 = maps.values().sum();
    drop(accountant);
    let possible = cpu_list("possible").len() as u32;
    let pid_max = fs::read_to_string("/proc/sys/kernel/pid_max").expect("it can be read");
    let computed = map_bytes(possible, pid_max.trim().parse().expect("a number"));
    println!(
        "{possible} possible CPUs: {} maps, {} KiB by the kernel, {} KiB by the formula",
        maps.len(),
        taken >> 10,
        computed >> 10
    );
    // Kernels before 6.4 tell an estimate of their own.
    assert!(
        taken >= computed / 2,
        "{taken} bytes, {computed} by the formula"
    );
    assert!(
        taken <= computed + BESIDES,
        "{taken} bytes, {computed} by the formula: {maps:?}"
    );
}
