//! In which cgroups the processes are.

use collector_ebpf::CgroupMoveEvent;

use super::super::{
    account::{InFlight, Key},
    cgroups::Cgroups,
};
use super::{Accounts, changed};
use crate::source::cgroup::Usage;

impl Accounts {
    /// The cgroups of the processes.
    pub(crate) const fn cgroups(&self) -> &Cgroups {
        &self.cgroups
    }

    /// A process was moved to another cgroup.
    pub(super) fn moved(&mut self, moved: &CgroupMoveEvent) {
        let key = Key {
            pid: moved.header.pid,
            start_ns: moved.header.process_start_ns,
        };
        if let Some(account) = self.processes.get_mut(&key) {
            let mut row = account.row(key, InFlight::default(), &self.known);
            // The record may be from after the move, or from before the slice
            // in which it came.
            if let Some(leader) = self.seen.get(moved.thread as usize)
                && leader.process == key
            {
                let others = account
                    .counters
                    .cpu_ns
                    .saturating_sub(leader.counters.cpu_ns);
                row.cpu_ns = Some(others.saturating_add(moved.cpu_ns));
            }
            let used = Usage::of(&row);
            self.cgroups
                .moved(&mut account.place, moved.cgroup_id, &used);
            if account.place.needs_path() {
                self.to_look_up.push(key);
            }
            changed(account, key, &mut self.changed);
        }
    }

    /// Events were lost: processes may have been moved without one. The next
    /// pass over all tasks has their paths looked up again.
    pub(crate) const fn distrust_cgroups(&mut self) {
        self.distrusts_cgroups = true;
    }
}
