//! The eBPF programs: loaded, attached, and read through their maps.
//!
//! [`Scheduler`] is all that the rest of the crate sees. Inside: `btf` and
//! `offsets` find the kernel's fields, `loader` loads and attaches, `mapped`
//! and `task_iter` read, `accounts` adds threads up to processes and
//! `cgroups` those to cgroups, without knowing of maps, and `state` brings these together.

mod account;
mod accounts;
mod btf;
mod cgroups;
mod counters;
mod cpu_check;
mod cpu_offsets;
mod cpu_reader;
mod cpu_states;
mod debug_log;
mod event_record;
mod fetch;
mod heap;
mod known;
mod loader;
mod mapped;
mod missed_runs;
mod offsets;
mod online;
mod per_cpu;
mod preemptions;
mod read_cpus;
mod report;
mod rights;
mod scheduler;
mod scheduler_clock;
mod state;
mod task_iter;

use std::path::PathBuf;

pub use heap::share_heap;
pub use report::{LoadReport, MissingField, ProgramReport, ProgramState};
pub use rights::Rights;
pub use scheduler::{Accounted, EventSink, EventStream, Scheduler};
pub use state::Look;

/// How the programs are loaded.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Load this object instead of the one that is built in: one that logs,
    /// made by `cargo xtask build-ebpf --debug-log`. Its lines are logged at
    /// the level `debug`.
    pub object: Option<PathBuf>,
    /// Programs, and paths of kernel fields, to be treated as if the kernel
    /// did not have them; for tests.
    pub pretend_missing: Vec<String>,
    /// How many threads can have a record at one time, instead of as many as
    /// suit the host; rounded up to a multiple of 4,096.
    pub thread_records: Option<u32>,
    /// The size of the ring buffer, instead of 1 MiB: a power of two, and a
    /// multiple of the size of a page.
    pub events_bytes: Option<u32>,
    /// How many pairs of cgroups are counted apart of which one took a CPU
    /// from the other, instead of 1,024.
    pub preemption_pairs: Option<u32>,
}

/// The kernel memory that the maps take, in bytes, on a host with so many
/// possible CPUs and this `pid_max`: by the formula of `docs/architecture.md`.
pub fn map_bytes(possible_cpus: u32, pid_max: u32) -> u64 {
    loader::Sizes::choose(possible_cpus, pid_max).bytes()
}

/// The programs could not be loaded at all.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The rights are missing.
    #[error("eBPF needs root, or CAP_BPF and CAP_PERFMON: run it with sudo")]
    NoPermission,
    /// The rights are there, and the kernel refused all the same.
    #[error(
        "the kernel refuses eBPF in spite of sufficient rights: it is locked down \
         (see /sys/kernel/security/lockdown), or a container's filter forbids the bpf system call"
    )]
    Refused,
    /// The same, with less memory that may be locked than the maps take.
    #[error(
        "the kernel refuses eBPF in spite of sufficient rights: before 5.11 the maps are locked \
         memory, of which {needed} bytes are needed and {limit} allowed (raise the limit: \
         LimitMEMLOCK=infinity in a unit, `ulimit -l unlimited` in a shell); on a later kernel it \
         is locked down (see /sys/kernel/security/lockdown), or a container's filter forbids the \
         bpf system call"
    )]
    LockedMemory {
        /// Bytes that the maps take.
        needed: u64,
        /// Bytes that may be locked.
        limit: u64,
    },
    /// This process is in a user namespace of its own.
    #[error(
        "this process is in a user namespace of its own, whose capabilities do not let programs \
         be loaded: run it in that of the host (as root, and in a container without user \
         namespaces: --userns=host, hostUsers: true)"
    )]
    UserNamespace,
    /// This process is in a PID namespace of its own.
    #[error(
        "this process is in a PID namespace of its own, where processes have other numbers than \
         the programs tell: run it in that of the host (--pid=host, hostPID: true)"
    )]
    PidNamespace,
    /// The kernel does not describe its types.
    #[error(
        "the kernel has no BTF at /sys/kernel/btf/vmlinux: it was built without \
         CONFIG_DEBUG_INFO_BTF"
    )]
    NoBtf,
    /// A field without which nothing works is not where the programs look.
    #[error("this kernel has no field {0}, without which nothing works")]
    MissingField(String),
    /// A program without which nothing works was refused.
    #[error("the program {name}, without which nothing works, does not run: {reason}")]
    Program {
        /// Which one.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}
