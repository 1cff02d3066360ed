//! Sources: files of `/proc` and `/sys`, directories, BPF maps.
//!
//! Every collector reads through a [`Tick`], so that within one tick each file is read
//! once, however many metrics need it. The parsers in [`procfs`] and [`sysfs`] are pure
//! functions of bytes, so that each can be used and tested alone.

mod bound;
pub mod bpf;
mod cgroup_mounts;
mod clock;
mod entries;
mod error;
mod file_table;
mod held_file;
mod kept_file;
mod name;
mod open;
mod parse;
mod process_reads;
pub mod procfs;
mod read_threads;
mod reader;
mod scratch;
mod slot;
mod sources;
mod stats;
pub mod sysfs;
mod tick;

pub(crate) use cgroup_mounts::CgroupMounts;
pub use clock::{Clock, SystemClock, Timestamp};
pub use entries::Entries;
pub use error::SourceError;
pub use held_file::HeldFile;
pub use name::{name_bytes, name_text};
pub(crate) use open::read_kernel_file;
pub use parse::ParseError;
pub(crate) use process_reads::{ProcessFiles, ProcessReads};
pub use sources::Sources;
pub use stats::{FileStats, SourceStats};
pub use tick::{ReadWindow, Tick};
