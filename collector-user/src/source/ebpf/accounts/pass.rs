//! What a pass over all tasks tells.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use collector_ebpf::TaskEntry;

use super::super::{
    account::{Account, Key, Located, process_state},
    counters::Counters,
    event_record::comm_text,
};
use super::{
    Accounts, Transfers, changed, identified,
    lifecycle::{End, shared_comm},
};
use crate::{
    metric::{Process, ProcessEvent, ProcessState},
    source::cgroup::Usage,
};

impl Accounts {
    /// Begins a pass over all tasks. `is_regular` if it comes after the
    /// interval of the passes, and not because something is missing.
    pub(crate) fn begin_pass(&mut self, is_regular: bool) {
        self.transfers = HashMap::new();
        self.to_look_up_later.clear();
        self.round += u32::from(is_regular);
    }

    /// A task that the pass came by. `had_unseen` on the pass that finds what was
    /// there before the programs, where the process was: what its threads used
    /// that have ended is in no record.
    pub(crate) fn visit(&mut self, entry: &TaskEntry, had_unseen: bool) {
        let key = Key {
            pid: entry.tgid,
            start_ns: entry.process_start_ns,
        };
        let mut located = Located::nowhere(key);
        if let Some(seen) = self.seen.get_mut(entry.thread) {
            seen.round = self.round;
            if seen.process.key() == key {
                located = seen.process;
            }
        }
        let is_leader = entry.tid == entry.tgid;
        let other_comm = if is_leader {
            self.other_comm(entry, &located)
        } else {
            None
        };
        let Some(account) = self.processes.at_mut(&located) else {
            if had_unseen {
                self.note_zombie(entry);
            }
            return;
        };
        let has_ended = entry.exit_state != 0;
        if !has_ended || account.is_zombie {
            account.round = self.round;
        }
        if account.is_zombie {
            // It may have got another parent.
            let ppid = Some(entry.ppid).filter(|_| self.known.parents && is_leader);
            if ppid.is_some() && account.row.ppid != ppid {
                account.edit().ppid = ppid;
                changed(account, &mut self.changed);
            }
            return;
        }
        let before = SlowFields::of(&account.row);
        let mut slow = before;
        // Threads of one process do not come in a row. Of one that is found by
        // this pass it is not known yet how many there are.
        let are_many = account.threads > 1 || !account.has_base || !is_leader || has_ended;
        let ended = Transfers {
            read: entry.ended_read_bytes,
            written: entry.ended_write_bytes,
        };
        let mut sums = ended;
        if are_many {
            // What had ended when its first thread was come by: one that ends
            // after that may have been come by itself.
            sums = *self.transfers.entry(key).or_insert(ended);
        }
        sums.read = sums.read.saturating_add(entry.read_bytes);
        sums.written = sums.written.saturating_add(entry.write_bytes);
        if are_many {
            self.transfers.insert(key, sums);
        }
        if self.known.read_bytes {
            slow.read_bytes = slow.read_bytes.max(Some(sums.read));
        }
        if self.known.write_bytes {
            slow.write_bytes = slow.write_bytes.max(Some(sums.written));
        }
        if !account.has_base {
            account.has_base = true;
            if had_unseen {
                account.counters.add(&ended_counters(entry));
                changed(account, &mut self.changed);
            }
        }
        // A leading thread that has ended has no memory; the others do.
        if entry.vm_pages != 0 || (is_leader && !has_ended) {
            let bytes = |pages: u64| pages.saturating_mul(self.page_size);
            slow.rss_bytes = self.known.rss.then_some(bytes(entry.rss_pages));
            slow.vm_bytes = self.known.vm.then_some(bytes(entry.vm_pages));
        }
        if is_leader {
            if self.known.parents {
                slow.ppid = Some(entry.ppid);
            }
            slow.uid = (entry.uid != u32::MAX).then_some(entry.uid);
        }
        let mut is_changed = slow != before;
        if is_changed {
            slow.write_to(account.edit());
        }
        if is_leader {
            is_changed |= visit_leader(account, entry, other_comm);
            identified(account, &mut self.unidentified);
            let counted = Usage::of(&account.row);
            is_changed |= self
                .cgroups
                .find(&mut account.place, entry.cgroup_id, &counted);
            if self.distrusts_cgroups {
                self.cgroups.distrust(&mut account.place);
            }
            let row = &account.row;
            let is_nameless = row.comm.is_empty() && !self.known.comm;
            // It was there before, or its exec was not seen.
            let has_no_line = row.cmdline.is_none() && account.kernel_thread == Some(false);
            if account.place.needs_path() || is_nameless || has_no_line {
                self.to_look_up_later.push(account.located);
            }
        }
        if is_changed {
            changed(account, &mut self.changed);
        }
    }

    /// The name of a process that has no account yet.
    pub(super) fn comm_of(&self, entry: &TaskEntry) -> Arc<str> {
        if !self.known.comm {
            return "".into();
        }
        let parent = self.processes.newest(entry.ppid);
        shared_comm(parent, &comm_text(&entry.comm))
    }

    /// The name of a process, if it is not the one that was known.
    fn other_comm(&self, entry: &TaskEntry, located: &Located) -> Option<Arc<str>> {
        let account = self.processes.at(located).filter(|_| self.known.comm)?;
        let comm = comm_text(&entry.comm);
        let is_other = *account.row.comm != *comm;
        is_other.then(|| shared_comm(self.processes.newest(entry.ppid), &comm))
    }

    /// Ends a pass over all tasks: ends what two rounds did not find. One may
    /// miss a thread that is about to leave its last CPU.
    ///
    /// Puts into `gone` the records of those threads: no program is to find
    /// them any more. They come into `freed` one round later, should one of
    /// the threads have had a CPU.
    pub(crate) fn end_pass(
        &mut self,
        now: SystemTime,
        freed: &mut Vec<u32>,
        gone: &mut Vec<u32>,
    ) -> Vec<ProcessEvent> {
        let round = self.round;
        let end = End {
            wall: now,
            since_boot_ns: None,
        };
        self.gone.retain(|&(index, since)| {
            let is_over = since < round;
            if is_over {
                self.seen.take(index);
                freed.push(index);
            }
            !is_over
        });
        let mut events = Vec::new();
        for index in self
            .seen
            .that(|seen| !seen.is_dead && seen.round + 2 <= round)
        {
            events.extend(self.end_thread(index, end).map(ProcessEvent::Exit));
            // Not to be taken up again, should it be read once more.
            if let Some(seen) = self.seen.get_or_insert(index) {
                seen.is_dead = true;
            }
            self.gone.push((index, round));
            gone.push(index);
        }
        // Those whose last thread had no record, or ended unseen.
        let is_missing = |account: &&Account| account.threads == 0 && account.round + 2 <= round;
        let missing = self.processes.iter().filter(is_missing);
        let mut missing: Vec<(Key, bool)> = missing.map(|of| (of.key(), of.is_zombie)).collect();
        missing.sort_unstable();
        for (key, is_zombie) in missing {
            if is_zombie {
                self.remove(key);
            } else {
                events.extend(self.end_process(key, end).map(ProcessEvent::Exit));
            }
        }
        self.take_in_zombies();
        self.transfers = HashMap::new();
        // The oldest are looked up first, and with them the parents.
        self.to_look_up_later.reverse();
        self.cgroups.sweep();
        self.distrusts_cgroups = false;
        events
    }
}

/// What a leading thread tells of its process; returns whether that is not
/// what was known.
fn visit_leader(account: &mut Account, entry: &TaskEntry, other_comm: Option<Arc<str>>) -> bool {
    let mut is_changed = other_comm.is_some();
    if let Some(comm) = other_comm {
        account.edit().comm = comm;
    }
    // The event of an execve was lost, or is yet to come.
    let exec_id = entry.exec_id as u32;
    let before = account.exec_id.replace(exec_id);
    if before.is_some_and(|before| before != exec_id) {
        account.edit().cmdline = None;
        is_changed = true;
    }
    account.set_flags(entry.flags);
    if account.state.is_none() {
        account.state = Some(if entry.exit_state != 0 {
            ProcessState::Zombie
        } else {
            process_state(entry.task_state)
        });
    }
    is_changed
}

/// What mostly a pass over all tasks changes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct SlowFields {
    ppid: Option<u32>,
    uid: Option<u32>,
    rss_bytes: Option<u64>,
    vm_bytes: Option<u64>,
    read_bytes: Option<u64>,
    write_bytes: Option<u64>,
}

impl SlowFields {
    fn of(row: &Process) -> Self {
        Self {
            ppid: row.ppid,
            uid: row.uid,
            rss_bytes: row.rss_bytes,
            vm_bytes: row.vm_bytes,
            read_bytes: row.read_bytes,
            write_bytes: row.write_bytes,
        }
    }

    fn write_to(self, row: &mut Process) {
        row.ppid = self.ppid;
        row.uid = self.uid;
        row.rss_bytes = self.rss_bytes;
        row.vm_bytes = self.vm_bytes;
        row.read_bytes = self.read_bytes;
        row.write_bytes = self.write_bytes;
    }
}

/// What the threads of a process used that had ended before.
pub(super) const fn ended_counters(entry: &TaskEntry) -> Counters {
    Counters {
        cpu_ns: entry.ended_cpu_ns,
        user_ns: entry.ended_user_ns,
        system_ns: entry.ended_system_ns,
        runqueue_ns: 0,
        interruptible_ns: 0,
        uninterruptible_ns: 0,
        voluntary_switches: entry.ended_voluntary_switches,
        involuntary_switches: entry.ended_involuntary_switches,
        minor_faults: entry.ended_minor_faults,
        major_faults: entry.ended_major_faults,
    }
}
