use std::collections::BTreeMap;

use super::{ProcessKey, thread_table::ThreadTable};
use crate::metric::Asleep;

/// A thread that is on a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunningThread {
    pub(crate) slot: u32,
    /// When it was switched in, or charged last.
    pub(crate) since_ns: u64,
    /// Its CPU time up to then.
    pub(crate) cpu_ns: u64,
}

/// Time of a process that has passed and is not in its counters yet, because a
/// thread has not been switched out, or not been switched in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProcessInFlight {
    pub(super) cpu_ns: u64,
    pub(super) runqueue_ns: u64,
    /// Threads that are asleep according to their records, and on a CPU by now.
    pub(super) switched_in: Asleep,
    /// Whether the thread-group leader is on a CPU.
    pub(super) is_leader_running: bool,
}

/// The time in flight of the processes that have some, as of `now_ns`. `waiting`
/// are slots of threads that wait on a run queue, and since when.
pub(super) fn times_in_flight(
    threads: &ThreadTable,
    running: &[RunningThread],
    waiting: &[(u32, u64)],
    now_ns: u64,
) -> BTreeMap<ProcessKey, ProcessInFlight> {
    let mut in_flight: BTreeMap<ProcessKey, ProcessInFlight> = BTreeMap::new();
    for running in running {
        // If its CPU time has grown, it was switched out and charged meanwhile.
        if let Some(thread) = threads.get(running.slot)
            && thread.counters.cpu_ns == running.cpu_ns
        {
            let entry = in_flight.entry(thread.process.key()).or_default();
            entry.cpu_ns += now_ns.saturating_sub(running.since_ns);
            entry.switched_in = entry.switched_in.with(&thread.asleep());
            entry.is_leader_running |= thread.is_leader;
        }
    }
    // The record of a running thread is from before its switch-in, and may have
    // it waiting.
    let mut on_cpu: Vec<u32> = running.iter().map(|running| running.slot).collect();
    on_cpu.sort_unstable();
    for &(slot, since_ns) in waiting {
        if on_cpu.binary_search(&slot).is_err()
            && let Some(thread) = threads.get(slot)
        {
            let entry = in_flight.entry(thread.process.key()).or_default();
            entry.runqueue_ns += now_ns.saturating_sub(since_ns);
        }
    }
    in_flight
}
