use std::path::PathBuf;

/// How the programs are loaded.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Load this object instead of the built-in one: an object with logging,
    /// built by `cargo xtask build-ebpf --debug-log`. Its lines are logged at
    /// the level `debug`.
    pub object: Option<PathBuf>,
    /// Programs, and paths of kernel fields, to be treated as missing; for
    /// tests.
    pub pretend_missing: Vec<String>,
    /// The number of thread records, instead of a number that suits the host;
    /// rounded up to a multiple of 4,096.
    pub thread_records: Option<u32>,
    /// The size of the ring buffer, instead of 1 MiB: a power of two, and a
    /// multiple of the page size.
    pub events_bytes: Option<u32>,
    /// The number of cgroup pairs whose preemptions are counted separately,
    /// instead of 1,024.
    pub preemption_pairs: Option<u32>,
}
