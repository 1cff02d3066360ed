use std::{
    collections::{BTreeSet, HashSet},
    hint::black_box,
    time::SystemTime,
};

use collector_ebpf::{CgroupMoveEvent, THREAD_DEAD, THREAD_FREE, TaskEntry, Thread};

use super::{
    AvailableFields, ClockReading, LifecycleEvent, ProcessKey, RunningThread,
    cgroup::Cgroups,
    in_flight::times_in_flight,
    lifecycle_event::process_of,
    proc_details::{DetailsRequest, ProcDetails},
    process_events::{exec_event, fork_event},
    processes::Processes,
    task_pass::TaskPass,
    task_state::runqueue_wait_start,
    thread_ends::{DeadThread, ThreadEnds},
    thread_table::ThreadTable,
};
use crate::metric::{HasProcessCounters as _, ProcessEvent, ProcessStats};

/// The accounts of all threads, which it adds up to processes and cgroups.
///
/// Its input are thread records, lifecycle events and task entries, its output
/// are readings, events, and the slots of thread records that may be freed.
#[derive(Debug)]
pub(crate) struct Accounts {
    threads: ThreadTable,
    /// Slots of threads that waited on a run queue when their records were last
    /// read, and since when, unless they are on a CPU by now.
    waiting: Vec<(u32, u64)>,
    ends: ThreadEnds,
    pass: TaskPass,
    processes: Processes,
}

impl Accounts {
    /// Accounts for as many thread records as there are slots.
    pub(crate) fn new(
        slots: u32,
        available: AvailableFields,
        page_size: u64,
        cgroups: Cgroups,
    ) -> Self {
        Self {
            threads: ThreadTable::new(slots),
            waiting: Vec::new(),
            ends: ThreadEnds::default(),
            pass: TaskPass::new(page_size),
            processes: Processes::new(available, cgroups),
        }
    }

    pub(crate) const fn available(&self) -> &AvailableFields {
        self.processes.available()
    }

    pub(crate) const fn cgroups(&self) -> &Cgroups {
        self.processes.cgroups()
    }

    /// Whether a task pass is needed, because the command name of a process is
    /// unknown.
    pub(crate) const fn needs_pass(&self) -> bool {
        !self.available().forks || self.processes.unidentified() > 0
    }

    /// The number of processes whose command name is unknown.
    pub(crate) const fn unidentified(&self) -> usize {
        self.processes.unidentified()
    }

    /// The number of accounts and rows that were freed since the start.
    pub(crate) const fn freed_objects(&self) -> u64 {
        self.processes.freed_objects()
    }

    /// Threads whose exit was found in their records without an event, since the
    /// start.
    pub(crate) const fn ends_without_event(&self) -> u64 {
        self.ends.without_event()
    }

    /// The CPU time of a thread in its record as last read.
    pub(crate) fn cpu_ns_of(&self, slot: u32) -> Option<u64> {
        self.threads.get(slot).map(|thread| thread.counters.cpu_ns)
    }

    /// Moves the slots of the threads that waited on a run queue to `slots`.
    /// Their records are to be read again, because a wait goes on without a
    /// change of the record.
    pub(crate) fn take_waiting(&mut self, slots: &mut Vec<u32>) {
        slots.extend(self.waiting.drain(..).map(|(slot, _since)| slot));
    }

    /// Loads the accounts of these slots into the CPU caches, before their records
    /// are passed to [`update`](Self::update).
    ///
    /// The accounts of processes that run now and then have left the caches by the
    /// next tick, and `update` waits for one cache miss after the other. The loads
    /// here do not depend on each other, so that many are in flight at once: with
    /// 20,000 processes it saves more than a quarter of a tick.
    pub(crate) fn prefetch(&self, slots: &[u32]) {
        for thread in slots.iter().filter_map(|&slot| self.threads.get(slot)) {
            if let Some(account) = self.processes.table().at(&thread.process) {
                let row = &account.row;
                black_box((*thread, account.counters, account.asleep, account.last_pass));
                black_box((row.process_counters(), row.asleep, row.vm_bytes, row.uid));
            }
        }
    }

    /// A thread record as it was just read.
    pub(crate) fn update(&mut self, slot: u32, record: &Thread) {
        if record.state == THREAD_FREE || record.tgid == 0 {
            return;
        }
        let pass = self.pass.number();
        let Some((thread, is_new)) = self.threads.account_of(slot, record, pass) else {
            return;
        };
        let change = thread.advance(record, is_new);
        self.processes
            .change_thread(&mut thread.process, pass, &change);
        if record.state == THREAD_DEAD {
            // The record of an exit that is not processed yet is read once more:
            // a CPU may not have seen all earlier writes of another one yet.
            if !thread.is_dead {
                thread.is_dead = true;
                self.ends.add(DeadThread {
                    at_ns: record.left_at_ns,
                    slot,
                });
            }
        } else if let Some(since_ns) = runqueue_wait_start(record) {
            self.waiting.push((slot, since_ns));
        }
    }

    /// Processes lifecycle events in their order, and ends the threads that were
    /// found dead. Returns the events to be published, and adds the slots that
    /// may be freed to `freed`.
    ///
    /// `running` are the threads that are on a CPU now; they matter if a process
    /// was moved. `ends_dropped` is the number of dropped events of thread
    /// exits since the start.
    pub(crate) fn process_events(
        &mut self,
        events: Vec<LifecycleEvent>,
        running: &[RunningThread],
        ends_dropped: u64,
        clock: &ClockReading,
        freed: &mut Vec<u32>,
    ) -> Vec<ProcessEvent> {
        self.processes.advance_to(clock.monotonic_ns);
        let mut published = Vec::new();
        let mut ended = BTreeSet::new();
        for event in events {
            match event {
                LifecycleEvent::Fork(fork) => {
                    let comm = self.processes.fork(&fork);
                    let event = ProcessEvent::Fork(fork_event(&fork, comm, clock));
                    published.push((fork.header.time_ns, event));
                }
                LifecycleEvent::Exec(exec) => {
                    let time_ns = exec.header.time_ns;
                    let comm = self.processes.exec(&exec);
                    let event = exec_event(*exec, comm, self.available(), clock);
                    published.push((time_ns, ProcessEvent::Exec(event)));
                }
                LifecycleEvent::ThreadEnd(end) => {
                    ended.insert(end.slot);
                }
                LifecycleEvent::CgroupMove(moved) => self.move_to_cgroup(&moved, running),
            }
        }
        for dead in self.ends.resolve(ended, ends_dropped, clock.monotonic_ns) {
            let exit = clock.exit_at(dead.at_ns);
            if let Some(thread) = self.threads.remove(dead.slot)
                && let Some(event) = self.processes.end_thread(&thread, exit)
            {
                published.push((dead.at_ns, ProcessEvent::Exit(event)));
            }
            freed.push(dead.slot);
        }
        self.processes.bound_lists();
        published.sort_by_key(|(time_ns, _event)| *time_ns);
        let published = published.into_iter();
        published.map(|(_time_ns, event)| event).collect()
    }

    /// A process was moved to another cgroup: its CPU time up to then stays in
    /// the old one.
    fn move_to_cgroup(&mut self, moved: &CgroupMoveEvent, running: &[RunningThread]) {
        let key = process_of(&moved.header);
        let Some(account) = self.processes.table().get(&key) else {
            return;
        };
        let mut cpu_ns = account.counters.cpu_ns;
        // The record of the thread-group leader may be newer than the move, or
        // older than the slice in which it occurred.
        if let Some(leader) = self.threads.get(moved.slot)
            && leader.process.key() == key
        {
            cpu_ns = cpu_ns
                .saturating_sub(leader.counters.cpu_ns)
                .saturating_add(moved.cpu_ns);
        }
        // Of the other threads, those that have been running since before.
        for running in running {
            if let Some(thread) = self.threads.get(running.slot)
                && thread.process.key() == key
                && running.slot != moved.slot
                && let Some(ran_ns) = moved.header.time_ns.checked_sub(running.since_ns)
            {
                // A reading may have charged a part of the slice already.
                let used = running.cpu_ns.saturating_add(ran_ns);
                cpu_ns += used.saturating_sub(thread.counters.cpu_ns);
            }
        }
        self.processes.move_to_cgroup(key, moved.cgroup_id, cpu_ns);
    }

    /// Removes the zombies that are no longer in the process table of the
    /// kernel, according to `exists`: checks those that exited since the last
    /// call, and at most `most` of the others, in turn.
    pub(crate) fn reap(&mut self, most: usize, exists: impl Fn(u32) -> bool) {
        self.processes.reap(most, exists);
    }

    /// Cgroup moves may have been missed: the next task pass has the paths read
    /// again.
    pub(crate) const fn set_moves_missed(&mut self) {
        self.pass.set_moves_missed();
    }

    /// Starts a task pass: a regular one at the end of the interval, or one
    /// because a task is missing.
    pub(crate) fn begin_pass(&mut self, is_regular: bool) {
        self.pass.begin(is_regular, &mut self.processes);
    }

    /// A visited task was assigned its record late, because no record was free
    /// when it was created. To be called before its record is read.
    pub(crate) fn insert_late(&mut self, entry: &TaskEntry) {
        self.threads.insert_late(entry, self.pass.number());
    }

    /// A task that the pass visited. `adds_exited` on the first pass, if the
    /// process existed before the programs: then the counters of its exited
    /// threads are in no record.
    pub(crate) fn visit(&mut self, entry: &TaskEntry, adds_exited: bool) {
        self.pass
            .visit(entry, adds_exited, &mut self.threads, &mut self.processes);
    }

    /// Ends a task pass, and with it the threads that two regular passes did not
    /// visit.
    ///
    /// Adds their slots to `unlinked`: no program may find these records any
    /// more. They are added to `freed` one pass later, in case one of the
    /// threads was on a CPU.
    pub(crate) fn end_pass(
        &mut self,
        now: SystemTime,
        freed: &mut Vec<u32>,
        unlinked: &mut Vec<u32>,
    ) -> Vec<ProcessEvent> {
        self.pass
            .end(now, &mut self.threads, &mut self.processes, freed, unlinked)
    }

    /// Requests for what has to be read from `/proc`, the newest process first.
    /// `done` are the processes requested earlier in this tick.
    pub(crate) fn take_requests(&mut self, done: &mut HashSet<ProcessKey>) -> Vec<DetailsRequest> {
        self.processes.take_requests(done)
    }

    /// Applies what was read from `/proc`.
    pub(crate) fn apply_details(&mut self, process: ProcessKey, details: ProcDetails) {
        self.processes.apply_details(process, details);
    }

    /// The reading, with the time in flight of the threads that are on a CPU.
    pub(crate) fn reading(&mut self, now_ns: u64, running: &[RunningThread]) -> ProcessStats {
        self.processes.advance_to(now_ns);
        let in_flight = times_in_flight(&self.threads, running, &self.waiting, now_ns);
        self.processes.publish(in_flight)
    }
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
