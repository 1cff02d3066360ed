//! What a pass over all tasks tells.

use std::time::SystemTime;

use collector_ebpf::{NO_THREAD, TaskEntry};

use super::super::{
    account::{Account, Key, Pass, process_state},
    counters::Counters,
    event_record::comm_text,
};
use super::{Accounts, changed, identified};
use crate::metric::ProcessEvent;

impl Accounts {
    /// Begins a pass over all tasks.
    pub(crate) fn begin_pass(&mut self) {
        self.pass += 1;
    }

    /// A task that the pass came by. `is_first` on the pass that finds what
    /// was there before the programs.
    pub(crate) fn visit(&mut self, entry: &TaskEntry, is_first: bool) {
        if let Some(seen) = self.seen.get_mut(entry.thread as usize)
            && entry.thread != NO_THREAD
        {
            seen.pass = self.pass;
        }
        let key = Key {
            pid: entry.tgid,
            start_ns: entry.process_start_ns,
        };
        let Some(account) = self.processes.get_mut(&key) else {
            return;
        };
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
        if entry.tid == entry.tgid {
            account.ppid = Some(entry.ppid);
            account.uid = (entry.uid != u32::MAX).then_some(entry.uid);
            let comm = comm_text(&entry.comm);
            if *account.comm != *comm {
                account.comm = comm.into();
                changed(account, key, &mut self.changed);
            }
            account.set_flags(entry.flags);
            account.rss_bytes = Some(entry.rss_pages.saturating_mul(self.page_size));
            account.vm_bytes = Some(entry.vm_pages.saturating_mul(self.page_size));
            if entry.exit_state == 0 && account.state.is_none() {
                account.state = Some(process_state(entry.task_state));
            }
            identified(account, &mut self.unidentified);
        }
        if slow_fields(account) != known_before {
            changed(account, key, &mut self.changed);
        }
        if entry.tid != entry.tgid {
            return;
        }
        if account.cgroup.is_none() {
            self.to_look_up.push(key);
        }
    }

    /// Ends a pass over all tasks: ends the threads that two passes did not
    /// find. One pass may miss a thread that is about to leave its last CPU.
    pub(crate) fn end_pass(&mut self, now: SystemTime, freed: &mut Vec<u32>) -> Vec<ProcessEvent> {
        let mut events = Vec::new();
        for index in 0..self.seen.len() {
            let Some(seen) = self.seen.get(index) else {
                break;
            };
            if seen.process.pid != 0 && seen.pass + 2 <= self.pass && !seen.is_dead {
                let process = seen.process;
                if let Some(exit) = self.end_thread(index as u32, now) {
                    events.push(ProcessEvent::Exit(exit));
                } else if self
                    .processes
                    .get(&process)
                    .is_some_and(|account| account.threads == 0)
                    && let Some(exit) = self.end_process(process, now)
                {
                    events.push(ProcessEvent::Exit(exit));
                }
                freed.push(index as u32);
            }
        }
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
