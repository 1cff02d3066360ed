//! Reads of `/proc`.

use std::fs;

/// Files of the host.
const OF_THE_HOST: [&str; 3] = ["stat", "meminfo", "loadavg"];
/// Files of each process.
const OF_A_PROCESS: [&str; 3] = ["stat", "status", "cmdline"];

/// Reads them all. Returns 1 if most reads succeeded.
pub(crate) fn proc() -> u64 {
    let is_read = |path: String| fs::read(path).is_ok();
    let of_the_host = OF_THE_HOST.map(|file| is_read(format!("/proc/{file}")));
    let mut processes = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // It may exit meanwhile.
        let of_a_process = OF_A_PROCESS.map(|file| is_read(format!("/proc/{pid}/{file}")));
        processes += u32::from(of_a_process.iter().all(|is_read| *is_read));
    }
    u64::from(processes > 0 && of_the_host.iter().all(|is_read| *is_read))
}
