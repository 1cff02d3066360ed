use std::sync::Arc;

use super::proc_pid::{self, Cmdline, Status};
use crate::source::Tick;

/// What hardly ever changes while a process runs one program: read once when it
/// is first seen, and again after an `execve`.
///
/// Costs three reads of `/proc/PID`: `cmdline`, `cgroup`, `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessDetails {
    /// Its arguments; `None` where they could not be read.
    pub cmdline: Option<Cmdline>,
    /// The path of its cgroup.
    pub cgroup: Option<Arc<str>>,
    /// Its effective user.
    pub uid: Option<u32>,
}

impl ProcessDetails {
    /// Reads them. What cannot be read, since the process has ended or the
    /// right is missing, is `None`.
    ///
    /// The process is known by its number only. Who must be sure that it is
    /// still the same compares its start time *after* this call.
    pub fn read(tick: &Tick, pid: u32) -> Self {
        let status = tick
            .parse(&format!("/proc/{pid}/status"), proc_pid::parse_status)
            .unwrap_or_default();
        Self::with_status(tick, pid, &status)
    }

    /// The same, by who has read `/proc/PID/status` already.
    pub fn with_status(tick: &Tick, pid: u32, status: &Status) -> Self {
        let read = |file: &str| tick.read(&format!("/proc/{pid}/{file}")).ok();
        Self {
            cmdline: read("cmdline").map(|bytes| proc_pid::parse_cmdline(&bytes)),
            cgroup: read("cgroup")
                .and_then(|bytes| proc_pid::parse_cgroup(&bytes))
                .map(Arc::from),
            uid: status.uid,
        }
    }

    /// The arguments in one line, as [`Process::cmdline`](crate::metric::Process::cmdline)
    /// has them.
    pub fn cmdline_text(&self) -> Option<Arc<str>> {
        self.cmdline.as_ref().map(Cmdline::joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    #[test]
    fn the_details_of_this_process_are_those_that_it_knows_itself() {
        let details = ProcessDetails::read(&Sources::live().tick(), std::process::id());
        assert_eq!(details.uid, Some(rustix::process::geteuid().as_raw()));
        let arguments: Vec<String> = std::env::args().collect();
        assert_eq!(
            details.cmdline_text().as_deref(),
            Some(arguments.join(" ").as_str())
        );
        assert!(details.cgroup.is_some_and(|path| path.starts_with('/')));
    }

    #[test]
    fn a_process_that_is_not_there_has_no_details() {
        let details = ProcessDetails::read(&Sources::live().tick(), u32::MAX);
        assert_eq!(details, ProcessDetails::default());
    }
}
