//! Processes that have ended, until they are reaped.

use collector_ebpf::TaskEntry;

use super::super::account::{Account, Key, Located};
use super::{Accounts, changed, identified, pass::ended_counters};
use crate::metric::ProcessState;

impl Accounts {
    /// Takes out the zombies that are not in the process table any more, by
    /// `is_there`: those that ended since the last call, and of the others so
    /// many at the most, in turn.
    pub(crate) fn reap(&mut self, most: usize, is_there: impl Fn(u32) -> bool) {
        for _ in 0..most.min(self.zombies.len()) {
            let Some(located) = self.zombies.pop_front() else {
                break;
            };
            if !self.reap_one(located, &is_there) {
                self.zombies.push_back(located);
            }
        }
        for located in std::mem::take(&mut self.just_ended) {
            if !self.reap_one(located, &is_there) {
                self.zombies.push_back(located);
            }
        }
    }

    /// Whether a zombie is gone.
    fn reap_one(&mut self, located: Located, is_there: impl Fn(u32) -> bool) -> bool {
        let key = located.key();
        if !self.processes.contains(&located) {
            return true;
        }
        // Its number may be another's by now.
        let newest = self.processes.newest(key.pid).map(Account::key);
        let is_gone = newest != Some(key) || !is_there(key.pid);
        if is_gone {
            self.remove(key);
        }
        is_gone
    }

    /// What a process used that is gone counts to those.
    pub(super) fn remove(&mut self, key: Key) {
        let Some(account) = self.processes.remove(&key) else {
            return;
        };
        self.rows.remove(key.pid, key.start_ns);
        self.exited_processes += 1;
        self.exited.add(&account.counters);
        let split = account.split();
        self.exited_split.user_ns += split.user_ns;
        self.exited_split.system_ns += split.system_ns;
    }

    /// The pass over all tasks came by a thread-group leader that has ended, of a
    /// process that has no account. On the pass that finds what was there
    /// before the programs, it is a zombie if no other thread of it is found.
    pub(super) fn note_zombie(&mut self, entry: &TaskEntry) {
        if entry.tid == entry.tgid && entry.exit_state != 0 && entry.is_group_dead != 0 {
            self.found_zombies.push(*entry);
        }
    }

    /// Makes accounts of the zombies that were there before the programs. They
    /// have used all that they ever will.
    pub(super) fn take_in_zombies(&mut self) {
        for entry in std::mem::take(&mut self.found_zombies) {
            let key = Key {
                pid: entry.tgid,
                start_ns: entry.process_start_ns,
            };
            let mut located = Located::nowhere(key);
            if self.processes.contains(&located) {
                continue;
            }
            let comm = self.comm_of(&entry);
            let round = self.round;
            self.unidentified += 1;
            let account = self
                .processes
                .get_or_insert_with(&mut located, || Account::first_seen_in(round, key));
            identified(account, &mut self.unidentified);
            account.counters.add(&ended_counters(&entry));
            account.has_base = true;
            account.is_zombie = true;
            account.state = Some(ProcessState::Zombie);
            account.set_flags(entry.flags);
            let row = account.edit();
            row.comm = comm;
            if self.known.parents {
                row.ppid = Some(entry.ppid);
            }
            row.uid = (entry.uid != u32::MAX).then_some(entry.uid);
            changed(account, &mut self.changed);
            self.zombies.push_back(located);
        }
    }
}
