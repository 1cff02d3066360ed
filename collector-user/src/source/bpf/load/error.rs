use std::{io, path::PathBuf};

use aya::{BtfError as AyaBtfError, EbpfError, maps::MapError};

use super::{PossibleCpusError, btf::BtfError, fields::PlaceholderError, refusal::with_causes};
use crate::source::bpf::IterError;

/// The programs could not be loaded at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The rights are missing.
    #[error("eBPF needs root, or CAP_BPF and CAP_PERFMON: run it with sudo")]
    NoPermission,
    /// The kernel refused in spite of sufficient rights.
    #[error(
        "the kernel refuses eBPF in spite of sufficient rights: it is locked down \
         (see /sys/kernel/security/lockdown), or a seccomp filter forbids the bpf system call"
    )]
    Refused,
    /// The same, and the limit of locked memory is lower than the size of the
    /// maps.
    #[error(
        "the kernel refuses eBPF in spite of sufficient rights: before 5.11 the maps are locked \
         memory, of which {needed} bytes are needed and {limit} allowed (raise the limit: \
         LimitMEMLOCK=infinity in a unit, `ulimit -l unlimited` in a shell); on a later kernel it \
         is locked down (see /sys/kernel/security/lockdown), or a seccomp filter forbids the bpf \
         system call"
    )]
    LockedMemory {
        /// The size of the maps in bytes.
        needed: u64,
        /// `RLIMIT_MEMLOCK` in bytes.
        limit: u64,
    },
    /// This process is not in the initial user namespace.
    #[error(
        "this process is in a user namespace of its own, whose capabilities do not allow loading \
         programs: run it in that of the host (as root, and in a container without user \
         namespaces: --userns=host, hostUsers: true)"
    )]
    UserNamespace,
    /// This process is not in the initial PID namespace.
    #[error(
        "this process is in a PID namespace of its own, in which processes have other PIDs than \
         the programs report: run it in that of the host (--pid=host, hostPID: true)"
    )]
    PidNamespace,
    /// The kernel has no BTF.
    #[error(
        "the kernel has no BTF at /sys/kernel/btf/vmlinux: it was built without \
         CONFIG_DEBUG_INFO_BTF"
    )]
    NoBtf,
    /// The BTF cannot be used.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// Aya cannot use the BTF.
    #[error("cannot use the BTF of the kernel: {}", with_causes(.0))]
    AyaBtf(#[source] AyaBtfError),
    /// A required field is missing.
    #[error("this kernel has no field {0}, which is required")]
    MissingField(String),
    /// The kernel passes other arguments to `sched_switch` than expected.
    #[error("this kernel passes other arguments to sched_switch than 5.10 and later do: update it")]
    UnknownSwitchArguments,
    /// The kernel has no tracepoint `sched_switch`.
    #[error("this kernel has no tracepoint sched_switch")]
    NoSwitchTracepoint,
    /// A required program was refused.
    #[error("the program {name}, which is required, does not run: {reason}")]
    Program {
        /// Its name.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// The object file could not be read.
    #[error("cannot read the object {}: {error}", path.display())]
    ReadObject {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The object does not match this program.
    #[error(
        "the object{} does not match this program: {error}; build it from the same source",
        path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default()
    )]
    Object {
        /// The file; `None` for the built-in object.
        path: Option<PathBuf>,
        /// Why.
        #[source]
        error: PlaceholderError,
    },
    /// The kernel refused the maps or the object.
    #[error("cannot load the eBPF programs: {}", with_causes(.0))]
    Load(#[source] EbpfError),
    /// The object has no such map.
    #[error("the object has no map {0}")]
    NoMap(&'static str),
    /// A map is of another type than expected.
    #[error("the map {0} is of another type")]
    MapType(&'static str),
    /// The elements of a map have another size than expected.
    #[error(
        "an element of the map {map} has {bytes} bytes, and not {expected}: the object was built \
         from other source than this program"
    )]
    MapSize {
        /// The map.
        map: &'static str,
        /// The size in the object.
        bytes: usize,
        /// The size in this program.
        expected: usize,
    },
    /// An operation on a map failed.
    #[error("a map of the programs cannot be used: {}", with_causes(.0))]
    Map(#[from] MapError),
    /// A map could not be mapped into memory.
    #[error("cannot map an array of the programs into memory: {0}")]
    MapMemory(#[source] io::Error),
    /// The number of possible CPUs is unknown.
    #[error(transparent)]
    PossibleCpus(#[from] PossibleCpusError),
    /// The first pass over all tasks failed.
    #[error("cannot visit the existing tasks: {0}")]
    Tasks(#[from] IterError),
    /// The ring buffer cannot be watched.
    #[error("cannot watch the ring buffer: {0}")]
    Watch(#[source] io::Error),
    /// The thread that handles events cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}
