//! BPF: loading programs, and reading what they write. Nothing is aggregated
//! here.
//!
//! - `load`: the object, the offsets of kernel fields from BTF, rights, and
//!   what the kernel refuses.
//! - `maps`: the maps, mapped into memory where that is possible.
//! - `events`: the ring buffer, and the events that are missing in it.
//! - `iter`: the iterator over all tasks.
//! - `cpu_times`: the times of the CPUs without `/proc/stat`.
//!
//! `Programs` has all of these after loading. The input types of
//! `accounting` are what it reads into.

mod cpu_times;
mod events;
mod iter;
mod load;
mod maps;
mod pod;
mod programs;

pub(crate) use cpu_times::{CpuTimesReader, CpuTimesUnused, PROGRAM as CPU_TIMES_PROGRAM};
pub(crate) use events::{EventRing, MissedRuns};
pub use iter::IterError;
pub use load::{
    BtfError, InstructionError, LoadError, LoadOptions, LoadReport, MissingField, PlaceholderError,
    PossibleCpusError, ProgramReport, ProgramState, Rights, map_bytes,
};
pub(crate) use load::{Loaded, load, pid_max};
pub(crate) use maps::{CpuRecords, PreemptionCounts, ThreadRecords};
pub(crate) use programs::Programs;
