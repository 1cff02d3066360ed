//! What a pass over all tasks tells.

use std::time::SystemTime;

use collector_ebpf::{NO_THREAD, TaskEntry};

use super::super::{
    account::{Account, Key, Pass, process_state},
    counters::Counters,
    event_record::comm_text,
};
use super::{Accounts, Seen, changed, identified};
use crate::metric::{ProcessEvent, ProcessState};

impl Accounts {
    /// Begins a pass over all tasks. `is_regular` if it comes after the
    /// interval of the passes, and not because something is missing.
    pub(crate) fn begin_pass(&mut self, is_regular: bool) {
        self.pass += 1;
        self.to_look_up_later.clear();
        self.round += u64::from(is_regular);
    }

    /// A task that the pass came by. `is_first` on the pass that finds what
    /// was there before the programs.
    pub(crate) fn visit(&mut self, entry: &TaskEntry, is_first: bool) {
        if let Some(seen) = self.seen.get_mut(entry.thread as usize)
            && entry.thread != NO_THREAD
        {
            seen.round = self.round;
        }
        let key = Key {
            pid: entry.tgid,
            start_ns: entry.process_start_ns,
        };
        let Some(account) = self.processes.get_mut(&key) else {
            return;
        };
        let is_leader = entry.tid == entry.tgid;
        let has_ended = entry.exit_state != 0;
        if !has_ended {
            account.round = self.round;
        }
        if account.pass.number != self.pass {
            account.pass = Pass {
                number: self.pass,
                read_bytes: entry.ended_read_bytes,
                write_bytes: entry.ended_write_bytes,
            };
        }
        account.pass.read_bytes += entry.read_bytes;
        account.pass.write_bytes += entry.write_bytes;
        let known_before = slow_fields(account);
        account.read_bytes = account.read_bytes.max(Some(account.pass.read_bytes));
        account.write_bytes = account.write_bytes.max(Some(account.pass.write_bytes));
        if !account.has_base {
            account.has_base = true;
            if is_first {
                account.counters.add(&ended_counters(entry));
                changed(account, key, &mut self.changed);
            }
        }
        // A leading thread that has ended has no memory; the others do.
        if entry.vm_pages != 0 || (is_leader && !has_ended) {
            account.rss_bytes = Some(entry.rss_pages.saturating_mul(self.page_size));
            account.vm_bytes = Some(entry.vm_pages.saturating_mul(self.page_size));
        }
        if is_leader {
            if self.known.parents {
                account.ppid = Some(entry.ppid);
            }
            account.uid = (entry.uid != u32::MAX).then_some(entry.uid);
            let comm = comm_text(&entry.comm);
            if self.known.comm && *account.comm != *comm {
                account.comm = comm.into();
                changed(account, key, &mut self.changed);
            }
            // The event of an execve was lost, or is yet to come.
            let is_other_program = account
                .exec_id
                .replace(entry.exec_id)
                .is_some_and(|before| before != entry.exec_id);
            if is_other_program {
                account.cmdline = None;
                changed(account, key, &mut self.changed);
            }
            account.set_flags(entry.flags);
            if account.state.is_none() {
                account.state = Some(if has_ended {
                    ProcessState::Zombie
                } else {
                    process_state(entry.task_state)
                });
            }
            identified(account, &mut self.unidentified);
        }
        let mut is_changed = slow_fields(account) != known_before;
        if is_leader {
            is_changed |= self.cgroups.find(&mut account.place, entry.cgroup_id);
            if self.distrusts_cgroups {
                self.cgroups.distrust(&mut account.place);
            }
            let is_nameless = account.comm.is_empty() && !self.known.comm;
            // It was there before, or its exec was not seen.
            let has_no_line = account.cmdline.is_none() && account.kernel_thread == Some(false);
            if account.place.needs_path() || is_nameless || has_no_line {
                self.to_look_up_later.push(key);
            }
        }
        if is_changed {
            changed(account, key, &mut self.changed);
        }
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
        self.gone.retain(|&(index, since)| {
            let is_over = since < round;
            if is_over {
                if let Some(seen) = self.seen.get_mut(index as usize) {
                    *seen = Seen::default();
                }
                freed.push(index);
            }
            !is_over
        });
        let mut events = Vec::new();
        for index in 0..self.seen.len() {
            let Some(seen) = self.seen.get(index) else {
                break;
            };
            if seen.process.pid == 0 || seen.is_dead || seen.round + 2 > round {
                continue;
            }
            let index = index as u32;
            events.extend(self.end_thread(index, now).map(ProcessEvent::Exit));
            if let Some(seen) = self.seen.get_mut(index as usize) {
                seen.is_dead = true;
            }
            self.gone.push((index, round));
            gone.push(index);
        }
        // Those whose last thread had no record, or ended unseen.
        let mut ended: Vec<Key> = self
            .processes
            .iter()
            .filter(|(_key, account)| account.threads == 0 && account.round + 2 <= round)
            .map(|(key, _account)| *key)
            .collect();
        ended.sort_unstable();
        for key in ended {
            events.extend(self.end_process(key, now).map(ProcessEvent::Exit));
        }
        self.cgroups.sweep();
        self.distrusts_cgroups = false;
        events
    }
}

/// What only a pass over all tasks changes.
fn slow_fields(account: &Account) -> [Option<u64>; 6] {
    [
        account.ppid.map(u64::from),
        account.uid.map(u64::from),
        account.rss_bytes,
        account.vm_bytes,
        account.read_bytes,
        account.write_bytes,
    ]
}

/// What the threads of a process used that had ended before.
const fn ended_counters(entry: &TaskEntry) -> Counters {
    Counters {
        cpu_ns: entry.ended_cpu_ns,
        user_ns: entry.ended_user_ns,
        system_ns: entry.ended_system_ns,
        runqueue_ns: 0,
        blocked_ns: 0,
        voluntary_switches: entry.ended_voluntary_switches,
        involuntary_switches: entry.ended_involuntary_switches,
        minor_faults: entry.ended_minor_faults,
        major_faults: entry.ended_major_faults,
    }
}
