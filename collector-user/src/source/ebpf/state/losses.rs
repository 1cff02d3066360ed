//! How much was lost on the way from the kernel.

use super::{super::missed_runs::MissedRuns, State};

impl State {
    /// How many events were lost since this was asked last.
    pub(in crate::source::ebpf) fn take_lost(&mut self) -> u64 {
        let lost = self.events_lost();
        let before = std::mem::replace(&mut self.lost_told, lost);
        lost.saturating_sub(before)
    }

    /// The ends of threads are not among them: those are found by the records.
    pub(in crate::source::ebpf) fn events_lost(&mut self) -> u64 {
        let dropped = self.sum(|cpu| cpu.events_dropped.saturating_sub(cpu.ends_dropped));
        dropped + self.events_missed()
    }

    /// Begins of processes and of programs that the kernel did not tell, since
    /// it left out a run of the program: those of processes are known by the
    /// records that they got all the same.
    pub(in crate::source::ebpf) fn events_missed(&mut self) -> u64 {
        let begun = self.sum(|cpu| cpu.begun_unseen);
        let forks = begun.saturating_sub(self.begun_before);
        let execs = self.missed_execs.as_mut().map_or(0, MissedRuns::count);
        if self.known().forks {
            forks + execs
        } else {
            execs
        }
    }

    /// What may have been lost of moves between cgroups, in a number that grows.
    pub(super) fn places_lost(&mut self) -> u64 {
        let moves = self.missed_moves.as_mut().map_or(0, MissedRuns::count);
        self.events_dropped() + moves
    }

    pub(in crate::source::ebpf) fn ends_found(&self) -> u64 {
        self.accounts.ends_found()
    }

    pub(in crate::source::ebpf) fn events_dropped(&self) -> u64 {
        self.sum(|cpu| cpu.events_dropped)
    }

    pub(in crate::source::ebpf) fn threads_dropped(&self) -> u64 {
        self.sum(|cpu| cpu.threads_dropped)
    }
}
