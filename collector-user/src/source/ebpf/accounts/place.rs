//! In which cgroups the processes are.

use collector_ebpf::CgroupMoveEvent;

use super::super::{
    account::{InFlight, Key},
    cgroups::Cgroups,
};
use super::{Accounts, Running, changed};
use crate::source::cgroup::Usage;

impl Accounts {
    /// The cgroups of the processes.
    pub(crate) const fn cgroups(&self) -> &Cgroups {
        &self.cgroups
    }

    /// Who has a CPU now, where processes were moved: to be told before
    /// [`settle`](Self::settle).
    pub(crate) fn note_running(&mut self, running: Vec<Running>) {
        self.running_at_moves = running;
    }

    /// A process was moved to another cgroup.
    pub(super) fn moved(&mut self, moved: &CgroupMoveEvent) {
        let key = Key {
            pid: moved.header.pid,
            start_ns: moved.header.process_start_ns,
        };
        let Some(account) = self.processes.get_mut(&key) else {
            return;
        };
        let mut cpu_ns = account.counters.cpu_ns;
        // The record of the leading thread may be from after the move, or from
        // before the slice in which it came.
        if let Some(leader) = self.seen.get(moved.thread)
            && leader.process.key() == key
        {
            cpu_ns = cpu_ns
                .saturating_sub(leader.counters.cpu_ns)
                .saturating_add(moved.cpu_ns);
        }
        // Of the others, those count that have had their CPU since before.
        for running in &self.running_at_moves {
            if let Some(seen) = self.seen.get(running.thread)
                && seen.process.key() == key
                && running.thread != moved.thread
                && let Some(ran_ns) = moved.header.time_ns.checked_sub(running.since_ns)
            {
                // A look may have charged a part of it already.
                let used = running.cpu_ns.saturating_add(ran_ns);
                cpu_ns += used.saturating_sub(seen.counters.cpu_ns);
            }
        }
        let counted = Usage::of(&account.row);
        let shown = account.row.cpu_ns;
        account.renew(InFlight::default(), &self.known, self.times);
        let row = account.edit();
        row.cpu_ns = shown.max(Some(cpu_ns));
        let used = Usage::of(row);
        self.cgroups
            .moved(&mut account.place, moved.cgroup_id, &counted, &used);
        if account.place.needs_path() {
            self.to_look_up.push(account.located);
        }
        changed(account, &mut self.changed);
    }

    /// Events were lost: processes may have been moved without one. The next
    /// pass over all tasks has their paths looked up again.
    pub(crate) const fn distrust_cgroups(&mut self) {
        self.distrusts_cgroups = true;
    }
}
