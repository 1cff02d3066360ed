//! How much was lost on the way from the kernel.

use super::State;

impl State {
    /// How many events were lost since this was asked last.
    pub(in crate::source::ebpf) fn take_lost(&mut self) -> u64 {
        let lost = self.events_lost();
        let before = std::mem::replace(&mut self.lost_told, lost);
        lost.saturating_sub(before)
    }

    /// The ends of threads are not among them: those are found by the records.
    pub(in crate::source::ebpf) fn events_lost(&self) -> u64 {
        self.sum(|cpu| cpu.events_dropped.saturating_sub(cpu.ends_dropped))
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
