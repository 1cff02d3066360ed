use std::{cmp::Reverse, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Process, ProcessList, ProcessStats, Reading as _, process_stats::sum};

/// The sums over live processes that have no row of their own.
///
/// A field is `None` if it is not known of any of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherProcesses {
    /// How many they are.
    pub processes: u64,
    /// Their threads.
    pub threads: Option<u64>,
    /// Their time on a CPU.
    pub cpu_ns: Option<u64>,
    /// The part of it in user mode.
    pub user_ns: Option<u64>,
    /// The part of it in kernel mode.
    pub system_ns: Option<u64>,
    /// Their wait for a CPU.
    pub runqueue_ns: Option<u64>,
    /// Their off-CPU time in sleep: the sum of the two kinds that follow.
    pub blocked_ns: Option<u64>,
    /// Their time in interruptible sleep.
    pub interruptible_sleep_ns: Option<u64>,
    /// Their time in uninterruptible sleep.
    pub uninterruptible_sleep_ns: Option<u64>,
    /// Their voluntary switches.
    pub voluntary_switches: Option<u64>,
    /// Their involuntary switches.
    pub involuntary_switches: Option<u64>,
    /// Their minor page faults.
    pub minor_faults: Option<u64>,
    /// Their major page faults.
    pub major_faults: Option<u64>,
    /// Their resident memory; what they share is counted once for each.
    pub rss_bytes: Option<u64>,
    /// Their virtual memory.
    pub vm_bytes: Option<u64>,
    /// Bytes that they caused to be read from storage.
    pub read_bytes: Option<u64>,
    /// Bytes that they caused to be written to storage.
    pub write_bytes: Option<u64>,
}

impl OtherProcesses {
    fn add(&mut self, process: &Process, monotonic_ns: u64) {
        let [interruptible, uninterruptible] = process.slept_ns(monotonic_ns);
        self.processes += 1;
        add(&mut self.threads, process.threads.map(u64::from));
        add(&mut self.cpu_ns, process.cpu_ns);
        add(&mut self.user_ns, process.user_ns);
        add(&mut self.system_ns, process.system_ns);
        add(&mut self.runqueue_ns, process.runqueue_ns);
        add(&mut self.blocked_ns, sum(interruptible, uninterruptible));
        add(&mut self.interruptible_sleep_ns, interruptible);
        add(&mut self.uninterruptible_sleep_ns, uninterruptible);
        add(&mut self.voluntary_switches, process.voluntary_switches);
        add(&mut self.involuntary_switches, process.involuntary_switches);
        add(&mut self.minor_faults, process.minor_faults);
        add(&mut self.major_faults, process.major_faults);
        add(&mut self.rss_bytes, process.rss_bytes);
        add(&mut self.vm_bytes, process.vm_bytes);
        add(&mut self.read_bytes, process.read_bytes);
        add(&mut self.write_bytes, process.write_bytes);
    }
}

fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}

/// The processes that have used the most time on a CPU, as many as fit into
/// `max_bytes` with the reading itself; the others are summed up.
pub(super) fn cut(stats: &ProcessStats, max_bytes: usize) -> ProcessStats {
    let mut by_cpu: Vec<&Arc<Process>> = stats.processes.shared().collect();
    by_cpu.sort_by_key(|process| Reverse(process.cpu_ns));
    let rows = by_cpu.len();
    let row_bytes = (stats.processes.heap_bytes() / rows.max(1)).max(1);
    // What a row takes varies with its texts, so the first guess is generous.
    let mut kept = rows.min(max_bytes / row_bytes * 9 / 8);
    loop {
        let (own, others) = by_cpu.split_at(kept);
        let mut processes = ProcessList::as_of(stats.processes.as_of_ns());
        for process in own {
            processes.insert_shared(Arc::clone(process));
        }
        let mut other = stats.other.clone().unwrap_or_default();
        for process in others {
            other.add(process, stats.processes.as_of_ns());
        }
        let cut = ProcessStats {
            processes,
            exited: stats.exited.clone(),
            other: (other.processes > 0).then_some(other),
            cgroups: stats.cgroups.clone(),
        };
        if kept == 0 || size_of::<ProcessStats>() + cut.heap_bytes() <= max_bytes {
            return cut;
        }
        kept -= (kept / 32).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> ProcessStats {
        let processes = (1..=100)
            .map(|pid| Process {
                pid,
                comm: format!("worker/{pid}").into(),
                cpu_ns: Some(u64::from(pid * 7919 % 101)),
                rss_bytes: (pid % 2 == 0).then_some(4096),
                ..Process::default()
            })
            .collect();
        ProcessStats {
            processes,
            ..ProcessStats::default()
        }
    }

    #[test]
    fn a_cut_reading_takes_no_more_than_it_may() {
        let whole = stats();
        let bytes = size_of::<ProcessStats>() + whole.heap_bytes();
        assert!(bytes > 10_000);
        for max_bytes in (1_000..=bytes).step_by(997) {
            let cut = whole.cut_to(max_bytes).unwrap();
            assert!(size_of::<ProcessStats>() + cut.heap_bytes() <= max_bytes);
        }
        assert_eq!(whole.cut_to(bytes), Some(whole));
    }

    #[test]
    fn a_cut_reading_keeps_the_busiest_and_every_sum() {
        let whole = stats();
        let cut = whole.cut_to(10_000).unwrap();
        let other = cut.other.unwrap();
        let sum = |rows: &ProcessList| rows.iter().filter_map(|row| row.cpu_ns).sum::<u64>();
        assert_eq!(cut.processes.len() as u64 + other.processes, 100);
        assert_eq!(
            sum(&cut.processes) + other.cpu_ns.unwrap(),
            sum(&whole.processes)
        );
        assert_eq!(other.user_ns, None);
        assert!(cut.processes.iter().all(|row| row.cpu_ns > Some(50)));
    }

    #[test]
    fn what_was_cut_can_be_cut_again() {
        let once = stats().cut_to(10_000).unwrap();
        let twice = once.cut_to(0).unwrap();
        assert!(twice.processes.is_empty());
        assert_eq!(twice.other.unwrap().processes, 100);
    }
}
