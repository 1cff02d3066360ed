//! The small tree for tests of the binary.

use std::fs;

use tempfile::TempDir;

/// A host with one CPU and one process.
pub(crate) fn tree() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    let write = |path: &str, content: &str| {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    let cpu = "100 0 50 1000 5 0 1 0 0 0";
    write(
        "proc/stat",
        &format!(
            "cpu  {cpu}\ncpu0 {cpu}\nctxt 77\nprocesses 9\nprocs_running 1\nprocs_blocked 0\n"
        ),
    );
    write("proc/loadavg", "0.50 0.25 0.10 1/2 7\n");
    write("proc/uptime", "1000.00 900.00\n");
    write("proc/meminfo", "MemTotal: 1024 kB\nMemFree: 512 kB\n");
    write("proc/sys/kernel/hostname", "small\n");
    write("proc/sys/kernel/osrelease", "6.1.0\n");
    let zeros = "0 ".repeat(30);
    write(
        "proc/1/stat",
        &format!("1 (init) S 0 1 1 0 -1 0 10 0 2 0 30 20 0 0 20 0 1 0 5 4096 1 {zeros}\n"),
    );
    write("proc/1/cmdline", "/sbin/init\0--a\x1b[2J\0");
    tree
}
