//! What is read: files of `/proc` and `/sys`, directories, BPF maps.
//!
//! Every collector reads through a [`Tick`], so that within one tick each file
//! is read once, however many metrics need it.

pub mod ebpf;
mod sources;
mod tick;

pub use sources::{SourceStats, Sources};
pub use tick::{SourceError, Tick};
