use crate::source::{Tick, sysfs::parse_cpu_list};

/// Which CPUs tell of their switches.
///
/// A CPU that goes offline switches to its idle task when no tracepoint fires
/// any more (`cpu_online` in `DECLARE_TRACE` of `include/linux/tracepoint.h`),
/// so what was noted last stands there until it is back: it would seem to run
/// all the time.
#[derive(Debug)]
pub(super) struct OnlineCpus {
    /// In rising order.
    online: Vec<u32>,
    /// What a CPU had noted when it was found offline.
    stale: Vec<Option<u64>>,
}

impl OnlineCpus {
    pub(super) fn new(cpus: u32) -> Self {
        Self {
            online: (0..cpus).collect(),
            stale: vec![None; cpus as usize],
        }
    }

    /// Reads which CPUs are online now.
    pub(super) fn read(&mut self, tick: &Tick) {
        // Nothing of a reading is taken from it.
        let tick = tick.untimed();
        let list = tick.parse("/sys/devices/system/cpu/online", parse_cpu_list);
        self.set(list.unwrap_or_default());
    }

    /// Sets which CPUs are online, in rising order. If none is named, all are.
    pub(super) fn set(&mut self, online: impl IntoIterator<Item = u32>) {
        self.online.clear();
        self.online.extend(online);
        if self.online.is_empty() {
            self.online.extend(0..self.stale.len() as u32);
        }
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
    use crate::source::Sources;

    #[test]
    fn a_cpu_that_is_back_is_current_from_its_first_switch() {
        let mut cpus = OnlineCpus::new(2);
        cpus.set([0, 1]);
        assert!(cpus.is_current(1, 10));
        cpus.set([0]);
        assert!(!cpus.is_current(1, 12));
        assert!(cpus.is_current(0, 12));
        cpus.set([0, 1]);
        assert!(!cpus.is_current(1, 12));
        assert!(cpus.is_current(1, 15));
    }

    #[test]
    fn where_it_is_not_told_all_cpus_are_online() {
        let root = tempfile::tempdir().unwrap();
        let tick = Sources::rooted(root.path().to_owned()).tick();
        let mut cpus = OnlineCpus::new(3);
        cpus.read(&tick);
        assert!((0..3).all(|cpu| cpus.is_current(cpu, 1)));
    }

    #[test]
    fn the_list_is_read_once_a_tick() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("sys/devices/system/cpu");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("online"), "0,2\n").unwrap();
        let sources = Sources::rooted(root.path().to_owned());
        let tick = sources.tick();
        let mut cpus = OnlineCpus::new(3);
        for _ in 0..3 {
            cpus.read(&tick);
        }
        assert!(cpus.is_current(0, 1) && !cpus.is_current(1, 1) && cpus.is_current(2, 1));
        assert_eq!(sources.stats().reads, 1);
    }
}
