use std::{cmp::Reverse, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    HasProcessCounters as _, Process, ProcessList, ProcessStats, Reading as _, Record,
    process_counters,
};

/// The sums over live processes that have no row of their own.
///
/// A field is `None` if it is unknown for all of them.
#[process_counters(io)]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
pub struct OtherProcesses {
    /// Number of processes.
    #[field(14)]
    pub processes: u64,
    /// Their threads.
    #[field(15)]
    pub threads: Option<u64>,
    /// Their resident memory; shared memory counts once per process.
    #[field(16)]
    pub rss_bytes: Option<u64>,
    /// Their virtual memory.
    #[field(17)]
    pub vm_bytes: Option<u64>,
}

impl OtherProcesses {
    fn add(&mut self, process: &Process, monotonic_ns: u64) {
        self.processes += 1;
        add(&mut self.threads, process.threads.map(u64::from));
        add(&mut self.rss_bytes, process.rss_bytes);
        add(&mut self.vm_bytes, process.vm_bytes);
        let sum = self
            .process_counters()
            .plus(process.counters_at(monotonic_ns));
        self.set_process_counters(&sum);
    }
}

fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}

/// Keeps the processes with the most CPU time, as many as fit into `max_bytes`
/// with the reading itself; the others are summed up.
pub(super) fn cut(stats: &ProcessStats, max_bytes: usize) -> ProcessStats {
    let mut by_cpu: Vec<&Arc<Process>> = stats.processes.shared().collect();
    by_cpu.sort_by_key(|process| Reverse(process.cpu_ns));
    let rows = by_cpu.len();
    let row_bytes = (stats.processes.heap_bytes() / rows.max(1)).max(1);
    // The size of a row depends on its texts, so the first guess is generous.
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
