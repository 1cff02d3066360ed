//! The maps of the programs.

mod array;
mod cpus;
mod dirty;
mod preemptions;
mod threads;

pub(super) use array::MappedArray;
pub(crate) use cpus::CpuRecords;
pub(super) use dirty::DirtyBytes;
pub(crate) use preemptions::PreemptionCounts;
pub(crate) use threads::ThreadRecords;
