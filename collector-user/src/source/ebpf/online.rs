use std::{fs::File, os::unix::fs::FileExt as _};

use crate::source::sysfs::parse_cpu_list;

/// Which CPUs tell of their switches.
///
/// A CPU that goes offline switches to its idle task when no tracepoint fires
/// any more (`cpu_online` in `DECLARE_TRACE` of `include/linux/tracepoint.h`),
/// so what was noted last stands there until it is back: it would seem to run
/// all the time.
#[derive(Debug)]
pub(super) struct OnlineCpus {
    /// Kept open: to read it again is one system call.
    file: Option<File>,
    online: Vec<u32>,
    /// What a CPU had noted when it was found offline.
    stale: Vec<Option<u64>>,
}

impl OnlineCpus {
    pub(super) fn new(cpus: u32) -> Self {
        let mut all = Self {
            file: File::open("/sys/devices/system/cpu/online").ok(),
            online: Vec::new(),
            stale: vec![None; cpus as usize],
        };
        all.read();
        all
    }

    /// Reads which CPUs are online now. Where that is not told, all are.
    pub(super) fn read(&mut self) {
        // A file of /sys is a page at the most.
        let mut buffer = [0; 4 << 10];
        let list = self
            .file
            .as_ref()
            .and_then(|file| file.read_at(&mut buffer, 0).ok())
            .and_then(|length| parse_cpu_list(buffer.get(..length)?).ok())
            .filter(|list| !list.is_empty());
        self.online = list.unwrap_or_else(|| (0..self.stale.len() as u32).collect());
    }

    /// Takes over which CPUs the program `read_cpus` found online, in rising
    /// order; nothing if it found none.
    pub(super) fn take(&mut self, online: impl Iterator<Item = u32>) -> bool {
        self.online.clear();
        self.online.extend(online);
        !self.online.is_empty()
    }

    /// Whether what a CPU has noted since some time is still so.
    pub(super) fn is_current(&mut self, cpu: u32, since_ns: u64) -> bool {
        let is_online = self.online.binary_search(&cpu).is_ok();
        let Some(stale) = self.stale.get_mut(cpu as usize) else {
            return is_online;
        };
        if !is_online {
            *stale = Some(since_ns);
        }
        // It may be back, and have switched nothing yet.
        is_online && *stale != Some(since_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_that_is_back_is_current_from_its_first_switch() {
        let mut cpus = OnlineCpus {
            file: None,
            online: vec![0, 1],
            stale: vec![None; 2],
        };
        assert!(cpus.is_current(1, 10));
        cpus.online = vec![0];
        assert!(!cpus.is_current(1, 12));
        assert!(cpus.is_current(0, 12));
        cpus.online = vec![0, 1];
        assert!(!cpus.is_current(1, 12));
        assert!(cpus.is_current(1, 15));
    }

    #[test]
    fn where_it_is_not_told_all_cpus_are_online() {
        let mut cpus = OnlineCpus {
            file: None,
            online: Vec::new(),
            stale: vec![None; 3],
        };
        cpus.read();
        assert!((0..3).all(|cpu| cpus.is_current(cpu, 1)));
    }
}
