//! The times of the CPUs without `/proc/stat`.
//!
//! A BPF program copies the kernel's accounting of each CPU to a map, and
//! [`CpuTimesReader`], which is the interface of this folder, runs it and
//! computes what `/proc/stat` would show. At the start the two are compared.

mod check;
mod error;
mod offsets;
mod per_cpu;
mod program;
mod reader;
mod states;

pub(crate) use error::{CpuTimesError, CpuTimesUnused};
pub(super) use program::{load, prepare};
pub(crate) use reader::{CpuTimesReader, PROGRAM};
