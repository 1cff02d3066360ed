use std::collections::{BTreeMap, HashMap, VecDeque};

use collector_ebpf::{GROUP_DEAD, THREAD_DEAD, THREAD_FREE, TaskEntry, Thread};

use super::{
    account::{Account, InFlight, Key, Located, Sleep, Times, process_state, waits_since},
    cgroups::Cgroups,
    counters::{Counters, Split},
    fetch::fetch,
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
mod threads;
mod zombies;

pub(crate) use lifecycle::Clock;
pub(crate) use look_up::{Details, LookUp};
use processes::Processes;
pub(crate) use reading::Running;
use threads::{Seen, Threads};

/// All processes, added up from the records of their threads.
///
/// Knows nothing of maps or system calls: it is told what the kernel side
/// wrote, and tells which records may be given away again.
#[derive(Debug)]
pub(crate) struct Accounts {
    known: Known,
    page_size: u64,
    /// What was read last of the elements of `THREADS`.
    seen: Threads,
    processes: Processes,
    /// The rows of the last reading, kept up by what changes.
    rows: ProcessList,
    /// Processes whose rows are to be made anew.
    changed: Vec<Located>,
    /// Processes that had time in flight in the last reading.
    in_flight: BTreeMap<Key, InFlight>,
    /// Processes that have ended since it was looked at last whether they are
    /// reaped, and those that were not by then.
    just_ended: Vec<Located>,
    zombies: VecDeque<Located>,
    exited_processes: u64,
    rows_made: u64,
    /// The time of what was done last, and that of the last reading.
    times: Times,
    exited: Counters,
    exited_split: Split,
    /// Threads that had left their last CPU when they were read.
    dead: Vec<Dead>,
    /// Those of them whose event had not come by then, and when that was.
    overdue: Vec<(Dead, u64)>,
    /// Threads of whose end no event told, since it was lost.
    ends_found: u64,
    /// Threads that waited for a CPU when they were read, and since when,
    /// unless they had one.
    waiting: Vec<(u32, u64)>,
    /// What the present pass over all tasks has added up of processes with
    /// many threads.
    transfers: HashMap<Key, Transfers>,
    /// How many passes came after their interval, and not because something
    /// was missing.
    round: u32,
    /// Threads that were ended because they were not found any more, and
    /// whose records are given away in the round after that.
    gone: Vec<(u32, u32)>,
    /// Processes that the pass over all tasks found to be zombies, and of which
    /// nothing is known otherwise.
    found_zombies: Vec<TaskEntry>,
    /// How many processes have no name yet: their fork was not seen.
    unidentified: usize,
    /// Processes that have begun or were moved, and of which something can only
    /// be had from `/proc`.
    to_look_up: Vec<Located>,
    /// The others that the last pass found: they come after those.
    to_look_up_later: Vec<Located>,
    cgroups: Cgroups,
    distrusts_cgroups: bool,
    /// Who had a CPU when it was found that processes had been moved.
    running_at_moves: Vec<Running>,
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
            seen: Threads::new(records),
            processes: Processes::default(),
            rows: ProcessList::default(),
            changed: Vec::new(),
            in_flight: BTreeMap::new(),
            just_ended: Vec::new(),
            zombies: VecDeque::new(),
            exited_processes: 0,
            rows_made: 0,
            times: Times::default(),
            exited: Counters::default(),
            exited_split: Split::default(),
            dead: Vec::new(),
            overdue: Vec::new(),
            ends_found: 0,
            waiting: Vec::new(),
            transfers: HashMap::new(),
            round: 0,
            gone: Vec::new(),
            found_zombies: Vec::new(),
            unidentified: 0,
            to_look_up: Vec::new(),
            to_look_up_later: Vec::new(),
            cgroups: Cgroups::new(hierarchies),
            distrusts_cgroups: false,
            running_at_moves: Vec::new(),
        }
    }

    /// Moves on to a later time: what follows happens then.
    pub(crate) fn advance_to(&mut self, monotonic_ns: u64) {
        self.times.now_ns = self.times.now_ns.max(monotonic_ns);
        self.cgroups.advance_to(self.times.now_ns);
    }

    pub(crate) const fn known(&self) -> &Known {
        &self.known
    }

    /// Whether the name of a process is missing, so that a pass over all tasks
    /// is due.
    pub(crate) fn needs_pass(&self) -> bool {
        !self.known.forks || self.unidentified > 0
    }

    /// How many accounts were dropped so far, and rows for newer ones.
    pub(crate) const fn dropped(&self) -> u64 {
        self.exited_processes + self.rows_made
    }

    /// How many processes have no name yet.
    pub(crate) const fn unidentified(&self) -> usize {
        self.unidentified
    }

    /// What a thread had used by its record, as it was read last.
    pub(crate) fn cpu_ns_of(&self, record: u32) -> Option<u64> {
        self.seen.get(record).map(|seen| seen.counters.cpu_ns)
    }

    /// The threads that waited for a CPU when they were read last. To be read
    /// again: their wait goes on without any change to the record.
    pub(crate) fn take_waiting(&mut self, into: &mut Vec<u32>) {
        into.extend(self.waiting.drain(..).map(|(index, _since)| index));
    }

    /// Brings what is kept of these records into the cache, before they are
    /// [updated](Self::update) and their rows are made.
    pub(crate) fn fetch(&self, records: &[u32]) {
        for seen in records.iter().filter_map(|&record| self.seen.get(record)) {
            fetch(seen);
            if let Some(account) = self.processes.at(&seen.process) {
                fetch(account);
                fetch(&*account.row);
            }
        }
    }

    /// A thread got its record from a pass over all tasks, long after it was
    /// made: there had been none for it. What it had used by then is in
    /// `unattributed_ns` of the CPUs, and is not counted again.
    pub(crate) fn found_late(&mut self, index: u32, entry: &TaskEntry) {
        let process = Key {
            pid: entry.tgid,
            start_ns: entry.process_start_ns,
        };
        if let Some(seen) = self.seen.get_or_insert(index)
            && seen.process.key() != process
        {
            *seen = Seen {
                process: Located::nowhere(process),
                round: self.round,
                counters: Counters {
                    cpu_ns: entry.found_cpu_ns,
                    ..Counters::default()
                },
                is_late: true,
                ..Seen::default()
            };
        }
    }

    /// A record as it was just read.
    pub(crate) fn update(&mut self, index: u32, thread: &Thread) {
        if thread.state == THREAD_FREE || thread.tgid == 0 {
            return;
        }
        let Some(seen) = self.seen.get_or_insert(index) else {
            return;
        };
        let process = Key {
            pid: thread.tgid,
            start_ns: thread.process_start_ns,
        };
        let is_new = seen.process.key() != process || std::mem::take(&mut seen.is_late);
        // One that no pass found is not to be taken up again.
        if is_new && seen.is_dead {
            return;
        }
        if seen.process.key() != process {
            *seen = Seen {
                process: Located::nowhere(process),
                round: self.round,
                ..Seen::default()
            };
        }
        let account = self.processes.get_or_insert_with(&mut seen.process, || {
            self.unidentified += 1;
            Account::first_seen_in(self.round, process)
        });
        if is_new {
            account.threads += 1;
            account.set_flags(u32::from(thread.flags));
        }
        let growth = seen.counters.advance(&Counters::of(thread));
        account.counters.add(&growth);
        let asleep_before = seen.asleep();
        let sleeps_otherwise = seen.set_asleep(Sleep::of(thread));
        if sleeps_otherwise {
            account.asleep = account.asleep.without(&asleep_before).with(&seen.asleep());
        }
        let waits_since = waits_since(thread);
        // `execve` makes the thread that calls it the leading one.
        seen.is_leader = thread.tid == thread.tgid;
        let state_before = account.state;
        if seen.is_leader {
            account.state = Some(match waits_since {
                Some(_) => ProcessState::Running,
                None => process_state(thread.task_state),
            });
        }
        // A pass over all tasks reads every record, and most are as they were.
        let has_grown = growth != Counters::default();
        if is_new || has_grown || sleeps_otherwise || account.state != state_before {
            changed(account, &mut self.changed);
        }
        if thread.flags & GROUP_DEAD != 0 {
            account.ending = Some(thread.exit_code);
        }
        if thread.state == THREAD_DEAD {
            // The record of an end that is not told yet is read once more: a
            // CPU may not have seen yet all that another one wrote before.
            if !seen.is_dead {
                seen.is_dead = true;
                self.dead.push(Dead {
                    at_ns: thread.left_at_ns,
                    index,
                });
            }
        } else if let Some(since_ns) = waits_since {
            self.waiting.push((index, since_ns));
        }
    }
}

/// A thread that has left its last CPU: when, and its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Dead {
    at_ns: u64,
    index: u32,
}

/// Bytes read and written by the threads of a process that a pass came by.
#[derive(Clone, Copy, Debug)]
struct Transfers {
    read: u64,
    written: u64,
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
fn keep_alive(list: &mut Vec<Located>, processes: &Processes) {
    if list.len() >= 2 * processes.len() + 64 {
        list.retain(|located| processes.contains(located));
        list.sort_unstable();
        list.dedup();
    }
}

/// Gives back the memory of a list that was long once, when it is empty.
fn trim(list: &mut Vec<Located>) {
    const KEPT: usize = 4_096;
    if list.is_empty() && list.capacity() > KEPT {
        *list = Vec::new();
    }
}

/// Notes that the row of a process is to be made anew.
fn changed(account: &mut Account, changed: &mut Vec<Located>) {
    if !account.is_changed {
        account.is_changed = true;
        changed.push(account.located);
    }
}
