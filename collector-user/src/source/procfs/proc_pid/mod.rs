//! The files of one process under `/proc/PID`.

mod accounting;
mod cgroup;
mod cmdline;
mod stat;
mod status;

pub use accounting::{Io, Schedstat, parse_io, parse_schedstat};
pub use cgroup::{parse_cgroup, parse_zombie_cgroup};
pub use cmdline::{Cmdline, parse_cmdline};
pub use stat::{ExitStatus, ProgramMark, Stat, parse_stat};
pub use status::{Status, parse_status};

use crate::source::{SourceError, Tick};

/// The PIDs in `/proc`, sorted.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub fn list(tick: &Tick) -> Result<Vec<u32>, SourceError> {
    Ok(tick.read_dir("/proc")?.numbered(""))
}
