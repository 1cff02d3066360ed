//! The reading, with the time in flight.

use std::{collections::BTreeMap, sync::Arc};

use super::super::{
    account::{InFlight, Key, Located},
    counters::exited_totals,
};
use super::{Accounts, trim};
use crate::{metric::ProcessStats, source::cgroup::Usage};

/// A thread that has a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) thread: u32,
    /// Since when it has it.
    pub(crate) since_ns: u64,
    /// What it had used before.
    pub(crate) cpu_ns: u64,
}

impl Accounts {
    /// The reading. `running` tells who had a CPU at this time.
    pub(crate) fn reading(&mut self, now_ns: u64, running: &[Running]) -> ProcessStats {
        self.advance_to(now_ns);
        let mut in_flight: BTreeMap<Key, InFlight> = BTreeMap::new();
        for running in running {
            // If it has used more by now, it has left its CPU and was charged.
            if let Some(seen) = self.seen.get(running.thread)
                && seen.counters.cpu_ns == running.cpu_ns
            {
                let entry = in_flight.entry(seen.process.key()).or_default();
                entry.cpu_ns += now_ns.saturating_sub(running.since_ns);
                entry.awake = entry.awake.with(&seen.asleep());
                entry.is_running |= seen.is_leader;
            }
        }
        // Their records are from before they got their CPU.
        let mut on_cpu: Vec<u32> = running.iter().map(|running| running.thread).collect();
        on_cpu.sort_unstable();
        for &(index, since) in &self.waiting {
            if on_cpu.binary_search(&index).is_err()
                && let Some(seen) = self.seen.get(index)
            {
                let entry = in_flight.entry(seen.process.key()).or_default();
                entry.runqueue_ns += now_ns.saturating_sub(since);
            }
        }
        // What was in flight before has been charged, or has grown.
        let before = std::mem::replace(&mut self.in_flight, in_flight);
        let keys = before.into_keys().chain(self.in_flight.keys().copied());
        let others = keys.map(Located::nowhere);
        for located in self.changed.drain(..).chain(others) {
            if let Some(account) = self.processes.at_mut(&located) {
                let in_flight = self.in_flight.get(&located.key());
                let in_flight = in_flight.copied().unwrap_or_default();
                account.is_changed = false;
                let counted = Usage::of(&account.row);
                let row = Arc::clone(account.renew(in_flight, &self.known, self.times));
                // What a zombie used has been counted as a whole.
                if !account.is_zombie {
                    self.cgroups
                        .count(&mut account.place, &counted, &Usage::of(&row));
                }
                self.rows.insert_shared(row);
                self.rows_made += 1;
            }
        }
        trim(&mut self.changed);
        self.times.shown_ns = self.times.now_ns;
        self.rows.set_as_of(self.times.now_ns);
        ProcessStats {
            processes: self.rows.copy(),
            exited: exited_totals(
                self.exited_processes,
                &self.exited,
                self.exited_split,
                &self.known,
            ),
            other: None,
            cgroups: self.cgroups.rows(),
        }
    }
}
