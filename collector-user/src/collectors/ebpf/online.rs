use crate::source::{Tick, sysfs::parse_cpu_list};

/// The CPUs whose stored current task is valid.
///
/// When a CPU goes offline, it switches to its idle task after tracepoints no
/// longer fire on it (`cpu_online` in `DECLARE_TRACE` of
/// `include/linux/tracepoint.h`). So the task that was stored last stays stored
/// until the CPU is back online, and would seem to run all the time.
#[derive(Debug)]
pub(super) struct OnlineCpus {
    /// In ascending order.
    online: Vec<u32>,
    /// When the stored task of a CPU was switched in, if the CPU was offline then.
    stale: Vec<Option<u64>>,
}

impl OnlineCpus {
    pub(super) fn new(cpus: u32) -> Self {
        Self {
            online: (0..cpus).collect(),
            stale: vec![None; cpus as usize],
        }
    }

    /// Reads which CPUs are online.
    pub(super) fn read(&mut self, tick: &Tick) {
        // It is not part of the read window, because no field is read from it.
        let tick = tick.untimed();
        let list = tick.parse("/sys/devices/system/cpu/online", parse_cpu_list);
        self.set(list.unwrap_or_default());
    }

    /// Sets the online CPUs, in ascending order. If there are none, all are.
    pub(super) fn set(&mut self, online: impl IntoIterator<Item = u32>) {
        self.online.clear();
        self.online.extend(online);
        if self.online.is_empty() {
            self.online.extend(0..self.stale.len() as u32);
        }
    }

    /// Whether the task that a CPU has stored, and that was switched in at this
    /// time, is valid.
    pub(super) fn is_current(&mut self, cpu: u32, since_ns: u64) -> bool {
        let is_online = self.online.binary_search(&cpu).is_ok();
        let Some(stale) = self.stale.get_mut(cpu as usize) else {
            return is_online;
        };
        if !is_online {
            *stale = Some(since_ns);
        }
        // It may be back online, and not have switched yet.
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
    fn without_a_list_all_cpus_are_online() {
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
