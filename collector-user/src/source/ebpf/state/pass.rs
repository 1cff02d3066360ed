//! The passes over all tasks.

use std::{
    io,
    time::{Duration, Instant, SystemTime},
};

use super::{
    super::{heap, task_iter},
    State,
};
use crate::metric::ProcessEvent;

/// How often all tasks are gone through, for what the switch path does not
/// bring: memory, I/O, owners, names.
const PASS_INTERVAL: Duration = Duration::from_secs(10);

/// So many accounts and rows that were dropped from one such pass to the next
/// leave free memory behind that is worth the while to give back: that takes as
/// long as to visit some thousand tasks.
const BURST: u64 = 2_000;

impl State {
    /// Goes through all tasks if that is due: for what changes slowly, or
    /// because a task was seen that is not known.
    pub(in crate::source::ebpf) fn pass_if_due(
        &mut self,
        now: SystemTime,
    ) -> io::Result<Vec<ProcessEvent>> {
        let unknown = self.sum(|cpu| cpu.unknown_tasks);
        let is_missed = self.accounts.needs_pass() || unknown != self.unknown_tasks;
        // A task may be hidden from the pass, or find no free record: then the
        // next regular one is soon enough.
        if self.is_regular_pass_due() || (is_missed && self.is_pass_of_use) {
            self.unknown_tasks = unknown;
            return self.pass(now);
        }
        Ok(Vec::new())
    }

    fn is_regular_pass_due(&self) -> bool {
        self.last_regular_pass
            .is_none_or(|last| last.elapsed() >= PASS_INTERVAL)
    }

    /// Goes through all tasks.
    pub(in crate::source::ebpf) fn pass(
        &mut self,
        now: SystemTime,
    ) -> io::Result<Vec<ProcessEvent>> {
        let is_first = self.last_regular_pass.is_none();
        let is_regular = self.is_regular_pass_due();
        if is_regular {
            self.last_regular_pass = Some(Instant::now());
        }
        let lost = self.places_lost();
        if std::mem::replace(&mut self.places_lost, lost) != lost {
            self.accounts.distrust_cgroups();
        }
        let unidentified = self.accounts.unidentified();
        let mut found = 0;
        let Self {
            ebpf,
            accounts,
            threads,
            loaded_at_ns,
            ..
        } = self;
        accounts.begin_pass(is_regular);
        task_iter::visit_all(ebpf, |entry| {
            if entry.is_new != 0 && !is_first {
                accounts.found_late(entry.thread, entry);
            }
            if let Some(thread) = threads.read(entry.thread) {
                accounts.update(entry.thread, &thread);
            }
            found += entry.is_new;
            let had_unseen = is_first && entry.process_start_ns < *loaded_at_ns;
            accounts.visit(entry, had_unseen);
        })?;
        if is_first {
            // They were there before the programs.
            self.begun_before = self.sum(|cpu| cpu.begun_unseen);
        }
        let mut gone = Vec::new();
        let events = self.accounts.end_pass(now, &mut self.freed, &mut gone);
        self.detach(&gone);
        if is_regular {
            self.preemptions.sweep(self.accounts.cgroups());
            let dropped = self.accounts.dropped();
            if dropped >= self.dropped + BURST {
                heap::give_back();
            }
            self.dropped = dropped;
        }
        self.give_back();
        self.warn_of_dropped_threads();
        self.is_pass_of_use = found > 0 || self.accounts.unidentified() < unidentified;
        Ok(events)
    }

    /// Makes records ones that no program finds any more.
    fn detach(&mut self, gone: &[u32]) {
        let tasks: Vec<(u32, u64)> = gone
            .iter()
            .filter_map(|&index| Some((index, self.threads.detach(index)?)))
            .collect();
        for (index, task) in tasks {
            // By now another task may be at this address.
            if self
                .thread_of
                .get(&task, 0)
                .is_ok_and(|found| found == index)
            {
                let _already_gone = self.thread_of.remove(&task);
            }
        }
    }
}
