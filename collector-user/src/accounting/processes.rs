use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use collector_ebpf::{ForkEvent, TaskEntry};

use super::{
    AvailableFields, Counters, ProcessKey,
    cgroup::{Cgroups, Usage},
    changed::ChangedProcesses,
    clock::ExitTime,
    details_queue::DetailsQueue,
    exited::ExitedProcesses,
    in_flight::ProcessInFlight,
    lifecycle_event::{Exec, comm_text, process_of},
    proc_details::{DetailsRequest, ProcDetails},
    process_account::ProcessAccount,
    process_events::exit_event,
    process_key::ProcessHandle,
    process_table::ProcessTable,
    published::PublishedRows,
    thread_account::{ThreadAccount, ThreadChange},
    visited_process::{VisitedProcess, identify},
    zombies::Zombies,
};
use crate::metric::{ExitEvent, ProcessState, ProcessStats};

/// The processes: their accounts, their cgroups, and the rows that are
/// published.
///
/// Its input are the changes of threads, forks, execs, cgroup moves, and
/// details from `/proc`. It knows no thread records.
#[derive(Debug)]
pub(super) struct Processes {
    available: AvailableFields,
    table: ProcessTable,
    changed: ChangedProcesses,
    published: PublishedRows,
    cgroups: Cgroups,
    details: DetailsQueue,
    zombies: Zombies,
    exited: ExitedProcesses,
    /// Processes whose command name is unknown, because their fork was not
    /// seen.
    unidentified: usize,
}

impl Processes {
    pub(super) fn new(available: AvailableFields, cgroups: Cgroups) -> Self {
        Self {
            available,
            table: ProcessTable::default(),
            changed: ChangedProcesses::default(),
            published: PublishedRows::default(),
            cgroups,
            details: DetailsQueue::default(),
            zombies: Zombies::default(),
            exited: ExitedProcesses::default(),
            unidentified: 0,
        }
    }

    pub(super) const fn available(&self) -> &AvailableFields {
        &self.available
    }

    pub(super) const fn cgroups(&self) -> &Cgroups {
        &self.cgroups
    }

    pub(super) const fn unidentified(&self) -> usize {
        self.unidentified
    }

    /// Memory was freed this often: by removed accounts and replaced rows.
    pub(super) const fn freed_objects(&self) -> u64 {
        self.exited.processes() + self.published.rows_built()
    }

    pub(super) fn table(&self) -> &ProcessTable {
        &self.table
    }

    /// Moves on to a later time, at which the changes that follow happen.
    pub(super) fn advance_to(&mut self, monotonic_ns: u64) {
        self.published.advance_to(monotonic_ns);
        self.cgroups.advance_to(self.published.times().now_ns);
    }

    /// Adds the change of a thread to its process, which it creates if it has no
    /// account. `pass` is the number of the last regular task pass.
    pub(super) fn change_thread(
        &mut self,
        process: &mut ProcessHandle,
        pass: u32,
        change: &ThreadChange,
    ) {
        let key = process.key();
        let account = self.table.get_or_insert_with(process, || {
            self.unidentified += 1;
            ProcessAccount::new(key, pass)
        });
        if account.apply(change) {
            self.changed.mark(account);
        }
    }

    /// A process was forked. Returns its command name.
    pub(super) fn fork(&mut self, fork: &ForkEvent) -> Arc<str> {
        let parent = self.table.newest(fork.ppid);
        let comm = shared_comm(parent, &comm_text(&fork.comm));
        let parent = parent.map(|parent| (parent.row.cmdline.clone(), parent.cgroup.for_child()));
        // Its record was assigned before the event: without an account it has
        // already exited, and been processed.
        if let Some(account) = self.table.get_mut(&process_of(&fork.header)) {
            let (cmdline, parent_cgroup) = parent.unzip();
            let row = account.edit_row();
            row.ppid = Some(fork.ppid);
            row.uid = known_uid(fork.uid);
            row.comm = Arc::clone(&comm);
            if let Some(cmdline) = cmdline {
                row.cmdline = cmdline;
            }
            account.exec_id = Some(fork.exec_id as u32);
            account.set_flags(fork.flags);
            account.has_exited_threads = true;
            identify(account, &mut self.unidentified);
            self.changed.mark(account);
            self.details.push(account.handle);
            let counted = Usage::of(&account.row);
            self.cgroups
                .fork(&mut account.cgroup, fork.cgroup_id, parent_cgroup, &counted);
        }
        comm
    }

    /// A process executed a program. Returns its new command name.
    pub(super) fn exec(&mut self, exec: &Exec) -> Arc<str> {
        let comm: Arc<str> = comm_text(&exec.comm).into();
        if let Some(account) = self.table.get_mut(&process_of(&exec.header)) {
            let row = account.edit_row();
            if self.available.parents {
                row.ppid = Some(exec.ppid);
            }
            row.uid = known_uid(exec.uid);
            row.comm = Arc::clone(&comm);
            row.cmdline = exec.argv.as_ref().map(|argv| argv.join(" ").into());
            account.exec_id = Some(exec.exec_id as u32);
            if exec.argv.is_none() || !self.available.comm {
                self.details.push(account.handle);
            }
            identify(account, &mut self.unidentified);
            self.changed.mark(account);
        }
        comm
    }

    /// A process was moved to another cgroup, up to when it had this CPU time.
    pub(super) fn move_to_cgroup(&mut self, key: ProcessKey, cgroup_id: u64, cpu_ns: u64) {
        let Some(account) = self.table.get_mut(&key) else {
            return;
        };
        let counted = Usage::of(&account.row);
        let published = account.row.cpu_ns;
        account.build_row(
            ProcessInFlight::default(),
            &self.available,
            self.published.times(),
        );
        let row = account.edit_row();
        row.cpu_ns = published.max(Some(cpu_ns));
        let used = Usage::of(row);
        self.cgroups
            .move_to(&mut account.cgroup, cgroup_id, &counted, &used);
        if account.cgroup.needs_path() {
            self.details.push(account.handle);
        }
        self.changed.mark(account);
    }

    /// A thread exited. Returns the event of its process if it was the last
    /// thread.
    pub(super) fn end_thread(
        &mut self,
        thread: &ThreadAccount,
        exit: ExitTime,
    ) -> Option<ExitEvent> {
        let account = self.table.at_mut(&thread.process)?;
        account.threads = account.threads.saturating_sub(1);
        account.asleep = account.asleep.without(&thread.asleep());
        if thread.is_leader {
            // It stays until the other threads have exited.
            account.state = Some(ProcessState::Zombie);
        }
        self.changed.mark(account);
        let are_others_left =
            account.threads > 0 || (account.wait_status.is_none() && self.available.exits);
        if are_others_left {
            return None;
        }
        self.end(thread.process.key(), exit)
    }

    /// A process exited: it is a zombie until it is found to be
    /// [reaped](Self::reap).
    pub(super) fn end(&mut self, key: ProcessKey, exit: ExitTime) -> Option<ExitEvent> {
        let account = self.table.get_mut(&key).filter(|of| !of.is_zombie)?;
        identify(account, &mut self.unidentified);
        let counted = Usage::of(&account.row);
        account.build_row(
            ProcessInFlight::default(),
            &self.available,
            self.published.times(),
        );
        self.cgroups.end(
            &account.cgroup,
            &counted,
            &account.final_usage(&self.available),
        );
        account.state = Some(ProcessState::Zombie);
        account.is_zombie = true;
        self.changed.mark(account);
        self.zombies.exited(account.handle);
        Some(exit_event(account, &self.available, exit))
    }

    /// Removes the zombies that are no longer in the process table of the
    /// kernel, according to `exists`: checks those that exited since the last
    /// call, and at most `most` of the others, in turn.
    pub(super) fn reap(&mut self, most: usize, exists: impl Fn(u32) -> bool) {
        let mut zombies = std::mem::take(&mut self.zombies);
        zombies.check(most, |handle| {
            let key = handle.key();
            if !self.table.contains(&handle) {
                return true;
            }
            // Its PID may be reused by now.
            let newest = self.table.newest(key.pid).map(ProcessAccount::key);
            let is_reaped = newest != Some(key) || !exists(key.pid);
            if is_reaped {
                self.remove(key);
            }
            is_reaped
        });
        self.zombies = zombies;
    }

    /// Removes the account of a process, whose counters go to the totals of the
    /// exited ones.
    pub(super) fn remove(&mut self, key: ProcessKey) {
        if let Some(account) = self.table.remove(&key) {
            self.published.remove(key);
            self.exited.add(&account);
        }
    }

    /// Removes what no longer exists from the lists, which are otherwise emptied
    /// by readings only.
    pub(super) fn bound_lists(&mut self) {
        self.changed.retain_existing(&self.table);
        self.details.retain_existing(&self.table);
    }

    /// Starts a task pass.
    pub(super) fn begin_pass(&mut self) {
        self.details.begin_pass();
    }

    /// Ends a task pass.
    pub(super) fn end_pass(&mut self) {
        self.details.end_pass();
        self.cgroups.sweep();
    }

    /// The account of a process, for a task pass to update, and what else it
    /// updates with it.
    pub(super) fn visit(&mut self, handle: &ProcessHandle) -> Option<VisitedProcess<'_>> {
        Some(VisitedProcess {
            account: self.table.at_mut(handle)?,
            available: &self.available,
            changed: &mut self.changed,
            cgroups: &mut self.cgroups,
            details: &mut self.details,
            unidentified: &mut self.unidentified,
        })
    }

    /// A process that was a zombie when the programs were attached: it will not
    /// use anything any more.
    pub(super) fn insert_zombie(&mut self, entry: &TaskEntry, pass: u32) {
        let key = ProcessKey {
            pid: entry.tgid,
            start_ns: entry.process_start_ns,
        };
        let mut handle = ProcessHandle::unresolved(key);
        if self.table.contains(&handle) {
            return;
        }
        let comm = self.comm_of(entry);
        let account = self
            .table
            .get_or_insert_with(&mut handle, || ProcessAccount::new(key, pass));
        account.is_identified = true;
        account.counters.add(&Counters::of_exited_threads(entry));
        account.has_exited_threads = true;
        account.is_zombie = true;
        account.state = Some(ProcessState::Zombie);
        account.set_flags(entry.flags);
        let row = account.edit_row();
        row.comm = comm;
        if self.available.parents {
            row.ppid = Some(entry.ppid);
        }
        row.uid = known_uid(entry.uid);
        self.changed.mark(account);
        self.zombies.found(handle);
    }

    /// The command name of a task.
    fn comm_of(&self, entry: &TaskEntry) -> Arc<str> {
        if !self.available.comm {
            return "".into();
        }
        shared_comm(self.table.newest(entry.ppid), &comm_text(&entry.comm))
    }

    /// The command name of a task, if it is not that in the row of its process.
    pub(super) fn changed_comm(
        &self,
        entry: &TaskEntry,
        handle: &ProcessHandle,
    ) -> Option<Arc<str>> {
        let account = self.table.at(handle).filter(|_| self.available.comm)?;
        let comm = comm_text(&entry.comm);
        let has_changed = *account.row.comm != *comm;
        has_changed.then(|| shared_comm(self.table.newest(entry.ppid), &comm))
    }

    /// Requests for what has to be read from `/proc`, the newest process first.
    /// `done` are the processes requested earlier in this tick.
    pub(super) fn take_requests(&mut self, done: &mut HashSet<ProcessKey>) -> Vec<DetailsRequest> {
        let Self {
            available,
            table,
            changed,
            cgroups,
            details,
            ..
        } = self;
        details.take_requests(done, |handle| {
            let account = table.at_mut(handle)?;
            if cgroups.set_known_path(&mut account.cgroup) {
                changed.mark(account);
            }
            let row = &account.row;
            let request = DetailsRequest {
                process: handle.key(),
                cgroup: account.cgroup.needs_path(),
                cmdline: row.cmdline.is_none() && account.kernel_thread != Some(true),
                memory: available.rss && row.rss_bytes.is_none(),
                comm: !available.comm,
                moves: account.cgroup.moves(),
                uid: row.uid,
            };
            (request.cgroup || request.cmdline || request.memory || request.comm).then_some(request)
        })
    }

    /// Applies what was read from `/proc`.
    pub(super) fn apply_details(&mut self, key: ProcessKey, details: ProcDetails) {
        let cmdline = details.cmdline.map(|line| self.shared_cmdline(key, line));
        let Some(account) = self.table.get_mut(&key) else {
            return;
        };
        self.changed.mark(account);
        // The processes are not locked while files are read: after a move in
        // between, the path is requested again.
        let is_current = details.moves == account.cgroup.moves();
        if let Some(path) = details.cgroup.filter(|_| is_current) {
            let counted = Usage::of(&account.row);
            let used = account.usage(&self.available, self.published.times());
            self.cgroups
                .set_path(&mut account.cgroup, path, &counted, &used);
        }
        let row = account.edit_row();
        if cmdline.is_some() {
            row.cmdline = cmdline;
        }
        if let Some(comm) = details.comm {
            row.comm = comm;
        }
        if details.rss_bytes.is_some() {
            row.rss_bytes = details.rss_bytes.filter(|_| self.available.rss);
            row.vm_bytes = details.vm_bytes.filter(|_| self.available.vm);
        }
    }

    /// The command line of the parent, if it is the same: the workers that a
    /// server forks share one text.
    fn shared_cmdline(&mut self, key: ProcessKey, line: Arc<str>) -> Arc<str> {
        let parent = self.table.get_mut(&key).and_then(|of| of.row.ppid);
        parent
            .and_then(|pid| self.table.newest(pid)?.row.cmdline.clone())
            .filter(|of_parent| *of_parent == line)
            .unwrap_or(line)
    }

    /// The reading, with this time in flight.
    pub(super) fn publish(
        &mut self,
        in_flight: BTreeMap<ProcessKey, ProcessInFlight>,
    ) -> ProcessStats {
        let changed = self.changed.take();
        for handle in &changed {
            self.publish_row(handle, &in_flight);
        }
        self.changed.give_back(changed);
        // Time in flight of the last reading has been charged, or has grown.
        let before = self.published.take_in_flight();
        for key in before.into_keys().chain(in_flight.keys().copied()) {
            self.publish_row(&ProcessHandle::unresolved(key), &in_flight);
        }
        self.published.set_in_flight(in_flight);
        ProcessStats {
            processes: self.published.rows(),
            exited: self.exited.totals(&self.available),
            other: None,
            cgroups: self.cgroups.rows(),
        }
    }

    fn publish_row(
        &mut self,
        handle: &ProcessHandle,
        in_flight: &BTreeMap<ProcessKey, ProcessInFlight>,
    ) {
        let Some(account) = self.table.at_mut(handle) else {
            return;
        };
        let in_flight = in_flight.get(&handle.key()).copied().unwrap_or_default();
        account.is_changed = false;
        let counted = Usage::of(&account.row);
        let times = self.published.times();
        let row = Arc::clone(account.build_row(in_flight, &self.available, times));
        // The usage of a zombie was counted when it exited.
        if !account.is_zombie {
            self.cgroups
                .count(&mut account.cgroup, &counted, &Usage::of(&row));
        }
        self.published.insert(row);
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.table.len() == 0 && self.published.is_empty()
    }

    #[cfg(test)]
    pub(super) fn list_lengths(&self) -> [usize; 2] {
        [self.changed.len(), self.details.len()]
    }

    #[cfg(test)]
    pub(super) fn rows_built(&self) -> u64 {
        self.published.rows_built()
    }
}

/// A user ID of a record; `None` if it was unknown.
pub(super) fn known_uid(uid: u32) -> Option<u32> {
    (uid != u32::MAX).then_some(uid)
}

/// A command name, shared with the parent if that has the same.
fn shared_comm(parent: Option<&ProcessAccount>, comm: &str) -> Arc<str> {
    match parent {
        Some(parent) if *parent.row.comm == *comm => Arc::clone(&parent.row.comm),
        _ => comm.into(),
    }
}
