use super::{
    handles::{retain_existing, shrink_if_empty},
    process_account::ProcessAccount,
    process_key::ProcessHandle,
    process_table::ProcessTable,
};

/// The processes whose rows are to be built again.
#[derive(Debug, Default)]
pub(super) struct ChangedProcesses(Vec<ProcessHandle>);

impl ChangedProcesses {
    pub(super) fn mark(&mut self, account: &mut ProcessAccount) {
        if !account.is_changed {
            account.is_changed = true;
            self.0.push(account.handle);
        }
    }

    /// Removes the processes that no longer exist, so that the list is bounded
    /// while no reading is taken.
    pub(super) fn retain_existing(&mut self, table: &ProcessTable) {
        retain_existing(&mut self.0, table);
    }

    /// Takes out all of them; [`give_back`](Self::give_back) returns the list
    /// for reuse.
    pub(super) fn take(&mut self) -> Vec<ProcessHandle> {
        std::mem::take(&mut self.0)
    }

    pub(super) fn give_back(&mut self, mut list: Vec<ProcessHandle>) {
        list.clear();
        shrink_if_empty(&mut list);
        self.0 = list;
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
