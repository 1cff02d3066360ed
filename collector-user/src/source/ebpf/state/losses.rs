//! How much was lost on the way from the kernel.

use std::time::{Duration, Instant};

use super::{
    super::{loader::pid_max, missed_runs::MissedRuns},
    State,
};

/// How often it is said at most that threads have no record.
const WARN_INTERVAL: Duration = Duration::from_mins(1);

/// That so many threads found no record free of so many, and what would help.
fn no_record(dropped: u64, records: u32, pid_max: u32) -> String {
    let advice = if pid_max > records {
        "there may be more threads (kernel.pid_max) than records: those were as many as it allowed \
         when the agent started, or as a host gets at most; after it was raised, restart the agent"
    } else {
        "ended threads keep theirs for a moment"
    };
    format!(
        "{dropped} times a thread found none of {records} records free: its CPU time is in \
         unattributed_ns until a pass over all tasks finds one for it; kernel.pid_max is \
         {pid_max}: {advice}"
    )
}

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

    /// Says that threads go without a record: at most once a minute, and only if
    /// there were more.
    pub(super) fn warn_of_dropped_threads(&mut self) {
        let dropped = self.threads_dropped();
        let is_time = self
            .dropped_threads_told
            .is_none_or(|(told, at)| dropped > told && at.elapsed() >= WARN_INTERVAL);
        if dropped > 0 && is_time {
            self.dropped_threads_told = Some((dropped, Instant::now()));
            let text = no_record(dropped, self.threads.len(), pid_max());
            tracing::warn!("{text}");
        }
    }

    pub(in crate::source::ebpf) fn threads_dropped(&self) -> u64 {
        self.sum(|cpu| cpu.threads_dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::no_record;

    #[test]
    fn threads_without_a_record_are_told_with_what_would_help() {
        let raised = no_record(40_000, 32_768, 4_194_304);
        assert!(
            raised.contains("40000 times") && raised.contains("restart"),
            "{raised}"
        );
        let burst = no_record(3, 32_768, 32_768);
        assert!(!burst.contains("restart"), "{burst}");
    }
}
