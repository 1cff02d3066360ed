use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use collector_ebpf::{GROUP_DEAD, NO_THREAD, THREAD_DEAD, THREAD_FREE, TaskEntry, Thread};

use super::{
    account::{Account, InFlight, Key, process_state, waits_since},
    counters::{Counters, Known, Split, exited_totals},
    event_record::{EventRecord, Exec, comm_text},
};
use crate::metric::{
    ExecEvent, ExitEvent, ForkEvent, ProcessEvent, ProcessList, ProcessState, ProcessStats,
};

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
    processes: BTreeMap<Key, Account>,
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
    /// Threads that waited for a CPU when they were read, and since when.
    waiting: Vec<(u32, u64)>,
    pass: u64,
    /// How many processes have no name yet: their fork was not seen.
    unidentified: usize,
    /// Processes of which something can only be had from `/proc`.
    to_look_up: Vec<Key>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The process; its number is 0 while the element is not in use.
    process: Key,
    counters: Counters,
    /// The last pass over all tasks that came by, or during which the element
    /// was first seen.
    pass: u64,
    is_dead: bool,
}

/// A process of which something is to be looked up in `/proc`: its cgroup,
/// and what else is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LookUp {
    pub(crate) key: Key,
    pub(crate) cmdline: bool,
    pub(crate) memory: bool,
}

/// What was found in `/proc`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Details {
    pub(crate) cmdline: Option<Arc<str>>,
    pub(crate) cgroup: Option<Arc<str>>,
    pub(crate) rss_bytes: Option<u64>,
    pub(crate) vm_bytes: Option<u64>,
}

/// A thread that has a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) thread: u32,
    /// Since when it has it.
    pub(crate) since_ns: u64,
    /// What it had used before.
    pub(crate) cpu_ns: u64,
}

/// When things happened: the programs stamp by `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) monotonic_ns: u64,
    pub(crate) wall: SystemTime,
}

impl Clock {
    fn wall_at(&self, monotonic_ns: u64) -> SystemTime {
        let ago = self.monotonic_ns.saturating_sub(monotonic_ns);
        self.wall - std::time::Duration::from_nanos(ago)
    }
}

impl Accounts {
    pub(crate) fn new(records: u32, known: Known, page_size: u64) -> Self {
        Self {
            known,
            page_size,
            seen: vec![Seen::default(); records as usize],
            processes: BTreeMap::new(),
            rows: ProcessList::default(),
            changed: Vec::new(),
            in_flight: BTreeMap::new(),
            exited_processes: 0,
            exited: Counters::default(),
            exited_split: Split::default(),
            dead: Vec::new(),
            overdue: Vec::new(),
            waiting: Vec::new(),
            pass: 0,
            unidentified: 0,
            to_look_up: Vec::new(),
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
        let account = self.processes.entry(process).or_insert_with(|| {
            self.unidentified += 1;
            Account::default()
        });
        if seen.process != process {
            *seen = Seen {
                process,
                pass: self.pass,
                ..Seen::default()
            };
            account.threads += 1;
            account.set_flags(thread.flags);
        }
        let growth = seen.counters.advance(&Counters::of(thread));
        account.counters.add(&growth);
        let waits_since = waits_since(thread);
        if thread.tid == thread.tgid {
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

    /// Takes in what happened, in its order, and ends the threads that were
    /// found dead. Returns the events for subscribers, and puts the records
    /// that may be given away again into `freed`.
    pub(crate) fn settle(
        &mut self,
        records: Vec<EventRecord>,
        clock: &Clock,
        freed: &mut Vec<u32>,
    ) -> Vec<ProcessEvent> {
        let mut events = Vec::new();
        let mut ends = BTreeMap::new();
        for record in records {
            match record {
                EventRecord::Fork(fork) => {
                    let time_ns = fork.header.time_ns;
                    events.push((time_ns, ProcessEvent::Fork(self.fork(&fork, clock))));
                }
                EventRecord::Exec(exec) => {
                    let time_ns = exec.header.time_ns;
                    events.push((time_ns, ProcessEvent::Exec(self.exec(*exec, clock))));
                }
                EventRecord::ThreadEnd(end) => {
                    ends.insert(end.thread, end.header.time_ns);
                }
            }
        }
        // A thread may end after the events were read and before the records
        // are. Then the events of its process are still to come, and its end
        // waits for them. If they have not come by the next time, they were
        // lost.
        let overdue = std::mem::take(&mut self.overdue);
        for index in std::mem::take(&mut self.dead)
            .into_iter()
            .chain(overdue.iter().copied())
        {
            if !ends.contains_key(&index) && !overdue.contains(&index) {
                self.overdue.push(index);
                continue;
            }
            let time_ns = ends.get(&index).copied().unwrap_or(clock.monotonic_ns);
            if let Some(exit) = self.end_thread(index, clock.wall_at(time_ns)) {
                events.push((time_ns, ProcessEvent::Exit(exit)));
            }
            freed.push(index);
        }
        events.sort_by_key(|(time_ns, _event)| *time_ns);
        events.into_iter().map(|(_time_ns, event)| event).collect()
    }

    fn fork(&mut self, fork: &collector_ebpf::ForkEvent, clock: &Clock) -> ForkEvent {
        let key = Key {
            pid: fork.header.pid,
            start_ns: fork.header.process_start_ns,
        };
        let comm: Arc<str> = comm_text(&fork.comm).into();
        let parent = self
            .newest(fork.ppid)
            .map(|(_key, parent)| (parent.cmdline.clone(), parent.cgroup.clone()));
        // Its record was made before the event, so if it has no account it has
        // ended already and been settled.
        if let Some(account) = self.processes.get_mut(&key) {
            account.ppid = Some(fork.ppid);
            account.uid = (fork.uid != u32::MAX).then_some(fork.uid);
            account.comm = Arc::clone(&comm);
            account.set_flags(fork.flags);
            account.has_base = true;
            identified(account, &mut self.unidentified);
            changed(account, key, &mut self.changed);
            self.to_look_up.push(key);
            if let Some((cmdline, cgroup)) = parent {
                account.cmdline = cmdline;
                account.cgroup = cgroup;
            }
        }
        ForkEvent {
            time: clock.wall_at(fork.header.time_ns),
            pid: key.pid,
            ppid: Some(fork.ppid),
            start_time_ns: key.start_ns,
            comm,
        }
    }

    fn exec(&mut self, exec: Exec, clock: &Clock) -> ExecEvent {
        let key = Key {
            pid: exec.header.pid,
            start_ns: exec.header.process_start_ns,
        };
        let comm: Arc<str> = comm_text(&exec.comm).into();
        if let Some(account) = self.processes.get_mut(&key) {
            account.ppid = Some(exec.ppid);
            account.uid = (exec.uid != u32::MAX).then_some(exec.uid);
            account.comm = Arc::clone(&comm);
            account.cmdline = exec.argv.as_ref().map(|argv| argv.join(" ").into());
            identified(account, &mut self.unidentified);
            changed(account, key, &mut self.changed);
        }
        ExecEvent {
            time: clock.wall_at(exec.header.time_ns),
            pid: key.pid,
            ppid: Some(exec.ppid),
            start_time_ns: key.start_ns,
            comm,
            filename: exec.filename.map(Into::into),
            argv: exec
                .argv
                .map(|argv| argv.into_iter().map(Into::into).collect()),
            argv_truncated: exec.argv_truncated,
        }
    }

    /// Ends a thread; if it was the last of its process, ends that too.
    fn end_thread(&mut self, index: u32, time: SystemTime) -> Option<ExitEvent> {
        let seen = std::mem::take(self.seen.get_mut(index as usize)?);
        let account = self.processes.get_mut(&seen.process)?;
        account.threads = account.threads.saturating_sub(1);
        changed(account, seen.process, &mut self.changed);
        if account.threads > 0 || (account.ending.is_none() && self.known.exits) {
            return None;
        }
        self.end_process(seen.process, time)
    }

    fn end_process(&mut self, key: Key, time: SystemTime) -> Option<ExitEvent> {
        let mut account = self.processes.remove(&key)?;
        self.rows.remove(key.pid, key.start_ns);
        identified(&mut account, &mut self.unidentified);
        let row = account.row(key, InFlight::default(), &self.known);
        self.exited_processes += 1;
        self.exited.add(&account.counters);
        self.exited_split.user_ns += account.split.user_ns;
        self.exited_split.system_ns += account.split.system_ns;
        let status = account.ending;
        // The layout of a wait status, as wait(2) has it.
        let signal = status.map(|status| (status & 0x7f) as u8);
        Some(ExitEvent {
            time,
            pid: key.pid,
            ppid: row.ppid,
            start_time_ns: key.start_ns,
            comm: row.comm,
            exit_code: status
                .filter(|_| signal == Some(0))
                .map(|status| (status >> 8) as u8),
            signal: signal.filter(|&signal| signal != 0),
            core_dumped: status.map(|status| status & 0x80 != 0),
            cpu_ns: Some(account.counters.cpu_ns),
            user_ns: row.user_ns,
            system_ns: row.system_ns,
            runqueue_ns: row.runqueue_ns,
            blocked_ns: row.blocked_ns,
            voluntary_switches: row.voluntary_switches,
            involuntary_switches: row.involuntary_switches,
            minor_faults: row.minor_faults,
            major_faults: row.major_faults,
        })
    }

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
            account.pass = super::account::Pass {
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

    /// Up to `limit` processes that are still there, and of which something
    /// is to be looked up in `/proc`. The youngest come first.
    pub(crate) fn take_look_ups(&mut self, limit: usize) -> Vec<LookUp> {
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(key) = self.to_look_up.pop()
        {
            if let Some(account) = self.processes.get(&key) {
                found.push(LookUp {
                    key,
                    cmdline: account.cmdline.is_none() && account.kernel_thread != Some(true),
                    memory: account.rss_bytes.is_none(),
                });
            }
        }
        found
    }

    /// What was found in `/proc`.
    pub(crate) fn looked_up(&mut self, key: Key, details: Details) {
        if let Some(account) = self.processes.get_mut(&key) {
            changed(account, key, &mut self.changed);
            if details.cmdline.is_some() {
                account.cmdline = details.cmdline;
            }
            if details.cgroup.is_some() {
                account.cgroup = details.cgroup;
            }
            if details.rss_bytes.is_some() {
                account.rss_bytes = details.rss_bytes;
                account.vm_bytes = details.vm_bytes;
            }
        }
    }

    /// The reading. `running` tells who had a CPU at this time.
    pub(crate) fn reading(&mut self, now_ns: u64, running: &[Running]) -> ProcessStats {
        let mut in_flight: BTreeMap<Key, InFlight> = BTreeMap::new();
        for running in running {
            // If it has used more by now, it has left its CPU and was charged.
            if let Some(seen) = self.seen.get(running.thread as usize)
                && seen.counters.cpu_ns == running.cpu_ns
            {
                let entry = in_flight.entry(seen.process).or_default();
                entry.cpu_ns += now_ns.saturating_sub(running.since_ns);
                entry.is_running = true;
            }
        }
        for &(index, since) in &self.waiting {
            if let Some(seen) = self.seen.get(index as usize) {
                let entry = in_flight.entry(seen.process).or_default();
                entry.runqueue_ns += now_ns.saturating_sub(since);
            }
        }
        // What was in flight before has been charged, or has grown.
        let before = std::mem::replace(&mut self.in_flight, in_flight);
        let keys = self.changed.drain(..).chain(before.into_keys());
        for key in keys.chain(self.in_flight.keys().copied()) {
            if let Some(account) = self.processes.get_mut(&key) {
                let in_flight = self.in_flight.get(&key).copied().unwrap_or_default();
                account.is_changed = false;
                self.rows.insert(account.row(key, in_flight, &self.known));
            }
        }
        ProcessStats {
            processes: self.rows.clone(),
            exited: exited_totals(
                self.exited_processes,
                &self.exited,
                self.exited_split,
                &self.known,
            ),
            other: None,
        }
    }

    /// The process that has a number now.
    fn newest(&self, pid: u32) -> Option<(&Key, &Account)> {
        let from = Key { pid, start_ns: 0 };
        let to = Key {
            pid,
            start_ns: u64::MAX,
        };
        self.processes.range(from..=to).next_back()
    }
}

/// Notes that the name of a process is known, or is not needed any more.
const fn identified(account: &mut Account, unidentified: &mut usize) {
    if !account.is_identified {
        account.is_identified = true;
        *unidentified = unidentified.saturating_sub(1);
    }
}

/// Notes that the row of a process is to be made anew.
fn changed(account: &mut Account, key: Key, changed: &mut Vec<Key>) {
    if !account.is_changed {
        account.is_changed = true;
        changed.push(key);
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

#[cfg(test)]
mod tests;
