use super::{AvailableFields, Counters, CpuTimeSplit, process_account::ProcessAccount};
use crate::metric::{ExitedTotals, HasProcessCounters as _};

/// The totals of the processes that have exited and were reaped.
#[derive(Debug, Default)]
pub(super) struct ExitedProcesses {
    processes: u64,
    counters: Counters,
    split: CpuTimeSplit,
}

impl ExitedProcesses {
    pub(super) fn add(&mut self, account: &ProcessAccount) {
        self.processes += 1;
        self.counters.add(&account.counters);
        let split = account.split();
        self.split.user_ns += split.user_ns;
        self.split.system_ns += split.system_ns;
    }

    /// The number of processes.
    pub(super) const fn processes(&self) -> u64 {
        self.processes
    }

    pub(super) fn totals(&self, available: &AvailableFields) -> ExitedTotals {
        let mut totals = ExitedTotals {
            processes: Some(self.processes),
            ..ExitedTotals::default()
        };
        totals.set_process_counters(&available.counters(&self.counters, self.split));
        totals
    }
}
