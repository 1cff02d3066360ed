use std::time::{Duration, Instant};

use super::kernel_accounting::sum;
use crate::{
    accounting::AvailableFields,
    source::bpf::{MissedRuns, Programs, pid_max},
};

/// The shortest interval between two warnings of threads without a record.
const WARN_INTERVAL: Duration = Duration::from_mins(1);

/// Events and threads that the programs lost, and what was reported of that.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Processes that existed before the programs and were assigned their record
    /// at a switch-out.
    existing_processes: u64,
    /// Lost events that subscribers know of.
    reported: u64,
    /// Lost cgroup moves at the last task pass.
    moves_lost: u64,
    /// Threads without a record at the last warning, and when that was.
    warned: Option<(u64, Instant)>,
}

impl Losses {
    /// The first task pass has visited all existing processes, some of which
    /// were assigned their record at a switch-out before.
    pub(super) const fn set_first_pass(&mut self, forks_unseen: u64) {
        self.existing_processes = forks_unseen;
    }

    /// The number of events that were lost since the last call.
    pub(super) fn take_lost(
        &mut self,
        programs: &mut Programs,
        available: &AvailableFields,
    ) -> u64 {
        let lost = self.events_lost(programs, available);
        let before = std::mem::replace(&mut self.reported, lost);
        lost.saturating_sub(before)
    }

    /// Events that are not published. Exits of threads are not among them,
    /// because these are found in the records.
    pub(super) fn events_lost(&self, programs: &mut Programs, available: &AvailableFields) -> u64 {
        let dropped = sum(programs, |cpu| {
            cpu.events_dropped.saturating_sub(cpu.ends_dropped)
        });
        dropped + self.events_missed(programs, available)
    }

    /// Forks and execs for which the kernel skipped the program. Skipped forks
    /// are known from the records that the processes were assigned later.
    pub(super) fn events_missed(
        &self,
        programs: &mut Programs,
        available: &AvailableFields,
    ) -> u64 {
        let forks_unseen = sum(programs, |cpu| cpu.forks_unseen);
        let forks = forks_unseen.saturating_sub(self.existing_processes);
        let execs = programs.missed_execs.as_mut().map_or(0, MissedRuns::count);
        if available.forks {
            forks + execs
        } else {
            execs
        }
    }

    /// Whether cgroup moves may have been lost since the last call.
    pub(super) fn are_new_moves_lost(&mut self, programs: &mut Programs) -> bool {
        let missed = programs.missed_moves.as_mut().map_or(0, MissedRuns::count);
        let lost = sum(programs, |cpu| cpu.events_dropped) + missed;
        std::mem::replace(&mut self.moves_lost, lost) != lost
    }

    /// Warns of threads without a record: at most once a minute, and only if
    /// their number has grown.
    pub(super) fn warn_of_dropped_threads(&mut self, programs: &Programs) {
        let dropped = sum(programs, |cpu| cpu.threads_dropped);
        if self.is_warning_due(dropped, Instant::now()) {
            let text = warning(dropped, programs.threads.len(), pid_max());
            tracing::warn!("{text}");
        }
    }

    /// Whether to warn of this number of threads now. A warning is taken to be
    /// logged.
    fn is_warning_due(&mut self, dropped: u64, now: Instant) -> bool {
        let is_due = dropped > 0
            && self.warned.is_none_or(|(warned, at)| {
                dropped > warned && now.saturating_duration_since(at) >= WARN_INTERVAL
            });
        if is_due {
            self.warned = Some((dropped, now));
        }
        is_due
    }
}

/// The warning of threads that found none of these records free, with advice.
fn warning(dropped: u64, records: u32, pid_max: u32) -> String {
    let advice = if pid_max > records {
        "there may be more threads (kernel.pid_max) than records: their number was set from \
         kernel.pid_max when the agent started, up to the maximum for a host; after kernel.pid_max \
         was raised, restart the agent"
    } else {
        "records of exited threads are freed with a delay"
    };
    format!(
        "{dropped} times a thread found none of {records} records free: its CPU time is in \
         unattributed_ns until a pass over all tasks assigns it a record; kernel.pid_max is \
         {pid_max}: {advice}"
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Losses, warning};

    #[test]
    fn threads_without_a_record_are_warned_of_at_most_once_a_minute() {
        let mut losses = Losses::default();
        let start = Instant::now();
        let mut is_due =
            |dropped, second| losses.is_warning_due(dropped, start + Duration::from_secs(second));
        assert!(!is_due(0, 0), "none is lost");
        assert!(is_due(3, 1));
        assert!(!is_due(9, 60));
        assert!(is_due(9, 61));
        assert!(!is_due(9, 200), "no more are lost");
        assert!(is_due(10, 201));
    }

    #[test]
    fn the_warning_of_threads_without_a_record_says_what_would_help() {
        let raised = warning(40_000, 32_768, 4_194_304);
        assert!(
            raised.contains("40000 times") && raised.contains("restart"),
            "{raised}"
        );
        let burst = warning(3, 32_768, 32_768);
        assert!(!burst.contains("restart"), "{burst}");
    }
}
