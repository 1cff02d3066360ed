//! Processes that begin, execute another program, and end.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use super::super::{
    account::{Account, InFlight, Key},
    event_record::{EventRecord, Exec, comm_text},
};
use super::{Accounts, Dead, changed, identified, keep_alive};
use crate::{
    metric::{ExecEvent, ExitEvent, ForkEvent, ProcessEvent, ProcessState},
    source::cgroup::Usage,
};

/// For how long an end waits for its event at most: longer than a program is
/// preempted for, unless a CPU is taken away from it.
const HELD_UP_NS: u64 = 2_000_000_000;

/// When things happened: the programs stamp by `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) monotonic_ns: u64,
    pub(crate) wall: SystemTime,
    /// How long the machine was suspended since it booted: `CLOCK_BOOTTIME`,
    /// by which processes begin, less `CLOCK_MONOTONIC`.
    pub(crate) suspended_ns: u64,
}

/// When a thread ended, or was found to have.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) wall: SystemTime,
    /// Since boot; `None` if it was not seen.
    pub(super) since_boot_ns: Option<u64>,
}

impl Clock {
    fn wall_at(&self, monotonic_ns: u64) -> SystemTime {
        let ago = self.monotonic_ns.saturating_sub(monotonic_ns);
        self.wall - std::time::Duration::from_nanos(ago)
    }

    fn end_at(&self, monotonic_ns: u64) -> End {
        End {
            wall: self.wall_at(monotonic_ns),
            since_boot_ns: Some(monotonic_ns.saturating_add(self.suspended_ns)),
        }
    }
}

impl Accounts {
    /// Takes in what happened, in its order, and ends the threads that were
    /// found dead. Returns the events for subscribers, and puts the records
    /// that may be given away again into `freed`. `ends_dropped` is how many
    /// ends of threads are told by no event.
    pub(crate) fn settle(
        &mut self,
        records: Vec<EventRecord>,
        ends_dropped: u64,
        clock: &Clock,
        freed: &mut Vec<u32>,
    ) -> Vec<ProcessEvent> {
        self.advance_to(clock.monotonic_ns);
        let mut events = Vec::new();
        let mut ends = BTreeSet::new();
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
                    ends.insert(end.thread);
                }
                EventRecord::CgroupMove(moved) => self.moved(&moved),
            }
        }
        // A thread may end after the events were read and before the records
        // are, and since 7.0 a program that is preempted while it writes its
        // event holds up all events after it. Then the events of its process
        // are still to come, and its end waits for them, unless it was dropped.
        let mut ended = Vec::new();
        for (dead, since_ns) in std::mem::take(&mut self.overdue) {
            if !ends.remove(&dead.index) {
                let waited_ns = clock.monotonic_ns.saturating_sub(since_ns);
                if self.ends_found >= ends_dropped && waited_ns < HELD_UP_NS {
                    self.overdue.push((dead, since_ns));
                    continue;
                }
                self.ends_found += 1;
            }
            ended.push(dead);
        }
        for dead in std::mem::take(&mut self.dead) {
            if ends.remove(&dead.index) {
                ended.push(dead);
            } else {
                self.overdue.push((dead, clock.monotonic_ns));
            }
        }
        // An end that was taken for lost and is told after all.
        self.ends_found = self.ends_found.saturating_sub(ends.len() as u64);
        // In their order, since the last thread's end is that of its process.
        ended.sort_unstable();
        for Dead { at_ns, index } in ended {
            if let Some(exit) = self.end_thread(index, clock.end_at(at_ns)) {
                events.push((at_ns, ProcessEvent::Exit(exit)));
            }
            freed.push(index);
        }
        keep_alive(&mut self.changed, &self.processes);
        keep_alive(&mut self.to_look_up, &self.processes);
        events.sort_by_key(|(time_ns, _event)| *time_ns);
        events.into_iter().map(|(_time_ns, event)| event).collect()
    }

    /// The threads of whose end no event told, since it was lost.
    pub(crate) const fn ends_found(&self) -> u64 {
        self.ends_found
    }

    fn fork(&mut self, fork: &collector_ebpf::ForkEvent, clock: &Clock) -> ForkEvent {
        let key = Key {
            pid: fork.header.pid,
            start_ns: fork.header.process_start_ns,
        };
        let parent = self.processes.newest(fork.ppid);
        let comm = shared_comm(parent, &comm_text(&fork.comm));
        let parent = parent.map(|parent| (parent.row.cmdline.clone(), parent.place.of_child()));
        // Its record was made before the event, so if it has no account it has
        // ended already and been settled.
        if let Some(account) = self.processes.get_mut(&key) {
            let (cmdline, origin) = parent.unzip();
            let row = account.edit();
            row.ppid = Some(fork.ppid);
            row.uid = (fork.uid != u32::MAX).then_some(fork.uid);
            row.comm = Arc::clone(&comm);
            if let Some(cmdline) = cmdline {
                row.cmdline = cmdline;
            }
            account.exec_id = Some(fork.exec_id as u32);
            account.set_flags(fork.flags);
            account.has_base = true;
            identified(account, &mut self.unidentified);
            changed(account, &mut self.changed);
            self.to_look_up.push(account.located);
            let counted = Usage::of(&account.row);
            self.cgroups
                .begin(&mut account.place, fork.cgroup_id, origin, &counted);
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
            let row = account.edit();
            if self.known.parents {
                row.ppid = Some(exec.ppid);
            }
            row.uid = (exec.uid != u32::MAX).then_some(exec.uid);
            row.comm = Arc::clone(&comm);
            row.cmdline = exec.argv.as_ref().map(|argv| argv.join(" ").into());
            account.exec_id = Some(exec.exec_id as u32);
            if exec.argv.is_none() || !self.known.comm {
                self.to_look_up.push(account.located);
            }
            identified(account, &mut self.unidentified);
            changed(account, &mut self.changed);
        }
        ExecEvent {
            time: clock.wall_at(exec.header.time_ns),
            pid: key.pid,
            ppid: self.known.parents.then_some(exec.ppid),
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
    pub(super) fn end_thread(&mut self, index: u32, end: End) -> Option<ExitEvent> {
        let seen = self.seen.take(index)?;
        let account = self.processes.at_mut(&seen.process)?;
        account.threads = account.threads.saturating_sub(1);
        account.asleep = account.asleep.without(&seen.asleep());
        if seen.is_leader {
            // It stays until the other threads have ended.
            account.state = Some(ProcessState::Zombie);
        }
        changed(account, &mut self.changed);
        if account.threads > 0 || (account.ending.is_none() && self.known.exits) {
            return None;
        }
        self.end_process(seen.process.key(), end)
    }

    /// Ends a process: from now on it is a zombie, until it is found to be
    /// [reaped](Self::reap).
    pub(super) fn end_process(&mut self, key: Key, end: End) -> Option<ExitEvent> {
        let account = self.processes.get_mut(&key).filter(|of| !of.is_zombie)?;
        identified(account, &mut self.unidentified);
        let counted = Usage::of(&account.row);
        account.renew(InFlight::default(), &self.known, self.times);
        self.cgroups
            .end(&account.place, &counted, &account.ended(&self.known));
        account.state = Some(ProcessState::Zombie);
        account.is_zombie = true;
        changed(account, &mut self.changed);
        self.just_ended.push(account.located);
        let status = account.ending.filter(|_| self.known.exit_status);
        // The layout of a wait status, as wait(2) has it.
        let signal = status.map(|status| (status & 0x7f) as u8);
        let (row, counters, known) = (&*account.row, &account.counters, &self.known);
        Some(ExitEvent {
            time: end.wall,
            pid: key.pid,
            ppid: row.ppid,
            start_time_ns: key.start_ns,
            end_time_ns: end.since_boot_ns,
            lifetime_ns: end
                .since_boot_ns
                .map(|end_ns| end_ns.saturating_sub(key.start_ns)),
            comm: Arc::clone(&row.comm),
            exit_code: status
                .filter(|_| signal == Some(0))
                .map(|status| (status >> 8) as u8),
            signal: signal.filter(|&signal| signal != 0),
            core_dumped: status.map(|status| status & 0x80 != 0),
            cpu_ns: Some(counters.cpu_ns),
            user_ns: row.user_ns,
            system_ns: row.system_ns,
            runqueue_ns: row.runqueue_ns,
            blocked_ns: known.sleep.then_some(counters.slept_ns()),
            interruptible_sleep_ns: known.sleep.then_some(counters.interruptible_ns),
            uninterruptible_sleep_ns: known.sleep.then_some(counters.uninterruptible_ns),
            voluntary_switches: row.voluntary_switches,
            involuntary_switches: row.involuntary_switches,
            minor_faults: row.minor_faults,
            major_faults: row.major_faults,
        })
    }
}

/// A name, shared with the parent that has the same.
pub(super) fn shared_comm(parent: Option<&Account>, comm: &str) -> Arc<str> {
    match parent {
        Some(parent) if *parent.row.comm == *comm => Arc::clone(&parent.row.comm),
        _ => comm.into(),
    }
}
