use std::collections::BTreeMap;

use collector_ebpf::{GROUP_DEAD, THREAD_DEAD, THREAD_FREE, Thread};

use super::{
    account::{Account, InFlight, Key, process_state, waits_since},
    cgroups::Cgroups,
    counters::{Counters, Split},
    known::Known,
};
use crate::{
    metric::{ProcessList, ProcessState},
    source::cgroup::Hierarchies,
};

mod lifecycle;
mod look_up;
mod pass;
mod place;
mod processes;
mod reading;
#[cfg(test)]
mod tests;

pub(crate) use lifecycle::Clock;
pub(crate) use look_up::{Details, LookUp};
use processes::Processes;
pub(crate) use reading::Running;

/// All processes, added up from the records of their threads.
///
/// Knows nothing of maps or system calls: it is told what the kernel side
/// wrote, and tells which records may be given away again.
#[derive(Debug)]
pub(crate) struct Accounts {
    known: Known,
    page_size: u64,
    /// What was read last of each element of `THREADS`.
    seen: Vec<Seen>,
    processes: Processes,
    /// The rows of the last reading, kept up by what changes.
    rows: ProcessList,
    /// Processes whose rows are to be made anew.
    changed: Vec<Key>,
    /// Processes that had time in flight in the last reading.
    in_flight: BTreeMap<Key, InFlight>,
    exited_processes: u64,
    exited: Counters,
    exited_split: Split,
    /// Threads that had left their last CPU when they were read.
    dead: Vec<u32>,
    /// Those of them whose event had not come by the last time.
    overdue: Vec<u32>,
    /// Threads of whose end no event told, since it was lost.
    ends_found: u64,
    /// Threads that waited for a CPU when they were read, and since when.
    waiting: Vec<(u32, u64)>,
    /// The number of the present pass over all tasks, or of the last one.
    pass: u64,
    /// How many passes came after their interval, and not because something
    /// was missing.
    round: u64,
    /// Threads that were ended because they were not found any more, and
    /// whose records are given away in the round after that.
    gone: Vec<(u32, u64)>,
    /// How many processes have no name yet: their fork was not seen.
    unidentified: usize,
    /// Processes that have begun or were moved, and of which something can only
    /// be had from `/proc`.
    to_look_up: Vec<Key>,
    /// The others that the last pass found: they come after those.
    to_look_up_later: Vec<Key>,
    cgroups: Cgroups,
    distrusts_cgroups: bool,
    /// Who had a CPU when it was found that processes had been moved.
    running_at_moves: Vec<Running>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The process; its number is 0 while the element is not in use.
    process: Key,
    counters: Counters,
    /// The last round in which a pass over all tasks came by, or in which the
    /// element was first seen.
    round: u64,
    is_leader: bool,
    is_dead: bool,
}

impl Accounts {
    pub(crate) fn new(
        records: u32,
        known: Known,
        page_size: u64,
        hierarchies: Hierarchies,
    ) -> Self {
        Self {
            known,
            page_size,
            seen: vec![Seen::default(); records as usize],
            processes: Processes::default(),
            rows: ProcessList::default(),
            changed: Vec::new(),
            in_flight: BTreeMap::new(),
            exited_processes: 0,
            exited: Counters::default(),
            exited_split: Split::default(),
            dead: Vec::new(),
            overdue: Vec::new(),
            ends_found: 0,
            waiting: Vec::new(),
            pass: 0,
            round: 0,
            gone: Vec::new(),
            unidentified: 0,
            to_look_up: Vec::new(),
            to_look_up_later: Vec::new(),
            cgroups: Cgroups::new(hierarchies),
            distrusts_cgroups: false,
            running_at_moves: Vec::new(),
        }
    }

    pub(crate) const fn known(&self) -> &Known {
        &self.known
    }

    /// Whether the name of a process is missing, so that a pass over all tasks
    /// is due.
    pub(crate) fn needs_pass(&self) -> bool {
        !self.known.forks || self.unidentified > 0
    }

    /// How many processes have ended so far.
    pub(crate) const fn exited_processes(&self) -> u64 {
        self.exited_processes
    }

    /// How many processes have no name yet.
    pub(crate) const fn unidentified(&self) -> usize {
        self.unidentified
    }

    /// The threads that waited for a CPU when they were read last. To be read
    /// again: their wait goes on without any change to the record.
    pub(crate) fn take_waiting(&mut self, into: &mut Vec<u32>) {
        into.extend(self.waiting.drain(..).map(|(index, _since)| index));
    }

    /// A record as it was just read.
    pub(crate) fn update(&mut self, index: u32, thread: &Thread) {
        let Some(seen) = self.seen.get_mut(index as usize) else {
            return;
        };
        if thread.state == THREAD_FREE || thread.tgid == 0 || seen.is_dead {
            return;
        }
        let process = Key {
            pid: thread.tgid,
            start_ns: thread.process_start_ns,
        };
        let account = self.processes.get_or_insert_with(process, || {
            self.unidentified += 1;
            Account::first_seen_in(self.round)
        });
        if seen.process != process {
            *seen = Seen {
                process,
                round: self.round,
                ..Seen::default()
            };
            account.threads += 1;
            account.set_flags(thread.flags);
        }
        let growth = seen.counters.advance(&Counters::of(thread));
        account.counters.add(&growth);
        let waits_since = waits_since(thread);
        // `execve` makes the thread that calls it the leading one.
        seen.is_leader = thread.tid == thread.tgid;
        if seen.is_leader {
            account.state = Some(match waits_since {
                Some(_) => ProcessState::Running,
                None => process_state(thread.task_state),
            });
        }
        changed(account, process, &mut self.changed);
        if thread.flags & GROUP_DEAD != 0 {
            account.ending = Some(thread.exit_code);
        }
        if thread.state == THREAD_DEAD {
            seen.is_dead = true;
            self.dead.push(index);
        } else if let Some(since_ns) = waits_since {
            self.waiting.push((index, since_ns));
        }
    }
}

/// Notes that the name of a process is known, or is not needed any more.
const fn identified(account: &mut Account, unidentified: &mut usize) {
    if !account.is_identified {
        account.is_identified = true;
        *unidentified = unidentified.saturating_sub(1);
    }
}

/// Takes out the processes that have ended, once they may be the most: so the
/// list does not grow while nobody asks for what is in it.
fn keep_alive(list: &mut Vec<Key>, processes: &Processes) {
    if list.len() >= 2 * processes.len() + 64 {
        list.retain(|key| processes.contains_key(key));
        list.sort_unstable();
        list.dedup();
    }
}

/// Notes that the row of a process is to be made anew.
fn changed(account: &mut Account, key: Key, changed: &mut Vec<Key>) {
    if !account.is_changed {
        account.is_changed = true;
        changed.push(key);
    }
}
