//! Parsers of files of `/proc`, each a pure function of bytes.

pub mod cpuinfo;
pub mod loadavg;
pub mod meminfo;
pub mod os_release;
pub mod proc_pid;
pub mod proc_stat;
mod units;

pub use units::{CLOCK_TICKS_PER_SECOND, ticks_to_ns};
