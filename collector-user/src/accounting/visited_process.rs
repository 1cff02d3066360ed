use super::{
    AvailableFields, cgroup::Cgroups, changed::ChangedProcesses, details_queue::DetailsQueue,
    process_account::ProcessAccount,
};

/// A process that a task pass visits, and what it updates with it.
pub(super) struct VisitedProcess<'a> {
    pub(super) account: &'a mut ProcessAccount,
    pub(super) available: &'a AvailableFields,
    pub(super) changed: &'a mut ChangedProcesses,
    pub(super) cgroups: &'a mut Cgroups,
    pub(super) details: &'a mut DetailsQueue,
    pub(super) unidentified: &'a mut usize,
}

impl VisitedProcess<'_> {
    /// Its command name is known.
    pub(super) fn identify(&mut self) {
        identify(self.account, self.unidentified);
    }
}

/// Sets that the command name of a process is known, or no longer needed.
pub(super) fn identify(account: &mut ProcessAccount, unidentified: &mut usize) {
    if !account.is_identified {
        account.is_identified = true;
        *unidentified = unidentified.saturating_sub(1);
    }
}
