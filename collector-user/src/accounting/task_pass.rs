use std::{collections::HashMap, sync::Arc, time::SystemTime};

use collector_ebpf::TaskEntry;

use super::{
    Counters, ProcessKey,
    cgroup::Usage,
    clock::ExitTime,
    process_account::ProcessAccount,
    process_key::ProcessHandle,
    processes::{Processes, known_uid},
    task_state::process_state,
    thread_table::ThreadTable,
    visited_process::VisitedProcess,
};
use crate::metric::{Process, ProcessEvent, ProcessState};

/// The passes over all tasks: what they add to the processes, and the threads
/// and processes that they do not find any more.
///
/// A regular pass comes at an interval; the others come because a task is
/// missing. What two regular passes do not visit has exited: a single pass may
/// miss a thread at its last switch-out.
#[derive(Debug)]
pub(super) struct TaskPass {
    page_size: u64,
    /// The number of regular passes.
    regular: u32,
    /// Bytes of I/O of processes with several threads, summed up by this pass.
    io_sums: HashMap<ProcessKey, IoBytes>,
    /// Slots of threads that were not found any more, and the pass that found
    /// that. They are freed by the next regular pass.
    unlinked: Vec<(u32, u32)>,
    /// Zombies that this pass visited and that have no account.
    zombies: Vec<TaskEntry>,
    /// Whether moves between cgroups may have been missed since the last pass.
    are_moves_missed: bool,
}

/// Bytes read and written by the threads of a process.
#[derive(Clone, Copy, Debug)]
struct IoBytes {
    read: u64,
    written: u64,
}

impl TaskPass {
    pub(super) fn new(page_size: u64) -> Self {
        Self {
            page_size,
            regular: 0,
            io_sums: HashMap::new(),
            unlinked: Vec::new(),
            zombies: Vec::new(),
            are_moves_missed: false,
        }
    }

    /// The number of the last regular pass.
    pub(super) const fn number(&self) -> u32 {
        self.regular
    }

    /// Cgroup moves may have been missed: the next pass has the paths read
    /// again.
    pub(super) const fn set_moves_missed(&mut self) {
        self.are_moves_missed = true;
    }

    pub(super) fn begin(&mut self, is_regular: bool, processes: &mut Processes) {
        self.io_sums = HashMap::new();
        self.regular += u32::from(is_regular);
        processes.begin_pass();
    }

    /// Updates the process of a visited task. `adds_exited` on the first pass,
    /// if the process existed before the programs: then the counters of its
    /// exited threads are in no record.
    pub(super) fn visit(
        &mut self,
        entry: &TaskEntry,
        adds_exited: bool,
        threads: &mut ThreadTable,
        processes: &mut Processes,
    ) {
        let key = ProcessKey {
            pid: entry.tgid,
            start_ns: entry.process_start_ns,
        };
        let mut handle = ProcessHandle::unresolved(key);
        if let Some(thread) = threads.get_mut(entry.slot) {
            thread.last_pass = self.regular;
            if thread.process.key() == key {
                handle = thread.process;
            }
        }
        let is_leader = entry.tid == entry.tgid;
        let comm = if is_leader {
            processes.changed_comm(entry, &handle)
        } else {
            None
        };
        let Some(mut process) = processes.visit(&handle) else {
            if adds_exited && is_zombie(entry) {
                self.zombies.push(*entry);
            }
            return;
        };
        let has_exited = entry.exit_state != 0;
        if !has_exited || process.account.is_zombie {
            process.account.last_pass = self.regular;
        }
        if process.account.is_zombie {
            if is_leader {
                update_parent(&mut process, entry);
            }
            return;
        }
        let mut is_changed = self.update_slow_fields(&mut process, entry);
        if !process.account.has_exited_threads {
            process.account.has_exited_threads = true;
            if adds_exited {
                let exited = Counters::of_exited_threads(entry);
                process.account.counters.add(&exited);
                is_changed = true;
            }
        }
        if is_leader {
            is_changed |= update_from_leader(process.account, entry, comm);
            process.identify();
            is_changed |= self.update_cgroup(&mut process, entry);
        }
        if is_changed {
            process.changed.mark(process.account);
        }
    }

    /// Updates the fields that only passes update. Returns whether any changed.
    fn update_slow_fields(&mut self, process: &mut VisitedProcess<'_>, entry: &TaskEntry) -> bool {
        let is_leader = entry.tid == entry.tgid;
        let has_exited = entry.exit_state != 0;
        let sums = self.add_io(process.account, entry);
        let available = process.available;
        let before = SlowFields::of(&process.account.row);
        let mut slow = before;
        if available.read_bytes {
            slow.read_bytes = slow.read_bytes.max(Some(sums.read));
        }
        if available.write_bytes {
            slow.write_bytes = slow.write_bytes.max(Some(sums.written));
        }
        // A thread-group leader that has exited has no memory, but the other
        // threads of the process do.
        if entry.vm_pages != 0 || (is_leader && !has_exited) {
            let bytes = |pages: u64| pages.saturating_mul(self.page_size);
            slow.rss_bytes = available.rss.then_some(bytes(entry.rss_pages));
            slow.vm_bytes = available.vm.then_some(bytes(entry.vm_pages));
        }
        if is_leader {
            if available.parents {
                slow.ppid = Some(entry.ppid);
            }
            slow.uid = known_uid(entry.uid);
        }
        let is_changed = slow != before;
        if is_changed {
            slow.write_to(process.account.edit_row());
        }
        is_changed
    }

    /// Adds the I/O of a thread to the sums of its process in this pass.
    fn add_io(&mut self, account: &ProcessAccount, entry: &TaskEntry) -> IoBytes {
        // A pass does not visit the threads of a process one after the other.
        // The number of threads of a process that this pass has found is not
        // known yet.
        let may_have_others = account.threads > 1
            || !account.has_exited_threads
            || entry.tid != entry.tgid
            || entry.exit_state != 0;
        let exited = IoBytes {
            read: entry.ended_read_bytes,
            written: entry.ended_write_bytes,
        };
        let key = account.key();
        let mut sums = exited;
        if may_have_others {
            // The bytes of the exited threads as of the first visit: a thread
            // that exits after that may have been visited itself.
            sums = *self.io_sums.entry(key).or_insert(exited);
        }
        sums.read = sums.read.saturating_add(entry.read_bytes);
        sums.written = sums.written.saturating_add(entry.write_bytes);
        if may_have_others {
            self.io_sums.insert(key, sums);
        }
        sums
    }

    /// Updates the cgroup of a process from its thread-group leader. Returns
    /// whether it changed.
    fn update_cgroup(&self, process: &mut VisitedProcess<'_>, entry: &TaskEntry) -> bool {
        let account = &mut *process.account;
        let counted = Usage::of(&account.row);
        let is_changed = process
            .cgroups
            .observe(&mut account.cgroup, entry.cgroup_id, &counted);
        if self.are_moves_missed {
            process.cgroups.mark_stale(&mut account.cgroup);
        }
        let row = &account.row;
        let has_no_comm = row.comm.is_empty() && !process.available.comm;
        // It existed before the programs, or its exec was not seen.
        let has_no_cmdline = row.cmdline.is_none() && account.kernel_thread == Some(false);
        if account.cgroup.needs_path() || has_no_comm || has_no_cmdline {
            process.details.push_from_pass(account.handle);
        }
        is_changed
    }

    /// Ends a pass: ends what two regular passes did not visit.
    ///
    /// Adds the slots of those threads to `unlinked`: no program may find their
    /// records any more. They are added to `freed` one pass later, in case one
    /// of the threads was on a CPU.
    pub(super) fn end(
        &mut self,
        now: SystemTime,
        threads: &mut ThreadTable,
        processes: &mut Processes,
        freed: &mut Vec<u32>,
        unlinked: &mut Vec<u32>,
    ) -> Vec<ProcessEvent> {
        let pass = self.regular;
        let exit = ExitTime {
            wall: now,
            boottime_ns: None,
        };
        self.unlinked.retain(|&(slot, since)| {
            let is_over = since < pass;
            if is_over {
                threads.remove(slot);
                freed.push(slot);
            }
            !is_over
        });
        let mut events = Vec::new();
        for slot in threads.slots_where(|thread| !thread.is_dead && thread.last_pass + 2 <= pass) {
            let event = threads
                .remove(slot)
                .and_then(|thread| processes.end_thread(&thread, exit));
            events.extend(event.map(ProcessEvent::Exit));
            // Not to be tracked again if the record is read once more.
            if let Some(thread) = threads.get_or_insert(slot) {
                thread.is_dead = true;
            }
            self.unlinked.push((slot, pass));
            unlinked.push(slot);
        }
        // Processes whose last thread had no record, or whose exit was not seen.
        let is_missing =
            |account: &&ProcessAccount| account.threads == 0 && account.last_pass + 2 <= pass;
        let missing = processes.table().iter().filter(is_missing);
        let mut missing: Vec<(ProcessKey, bool)> =
            missing.map(|of| (of.key(), of.is_zombie)).collect();
        missing.sort_unstable();
        for (key, is_zombie) in missing {
            if is_zombie {
                processes.remove(key);
            } else {
                events.extend(processes.end(key, exit).map(ProcessEvent::Exit));
            }
        }
        for zombie in std::mem::take(&mut self.zombies) {
            processes.insert_zombie(&zombie, pass);
        }
        self.io_sums = HashMap::new();
        self.are_moves_missed = false;
        processes.end_pass();
        events
    }
}

/// Whether a visited task is the thread-group leader of a process that may be a
/// zombie: all its threads have started to exit. It is one if the pass finds no
/// other thread of it.
const fn is_zombie(entry: &TaskEntry) -> bool {
    entry.tid == entry.tgid && entry.exit_state != 0 && entry.is_group_dead != 0
}

/// A zombie may have been reparented.
fn update_parent(process: &mut VisitedProcess<'_>, entry: &TaskEntry) {
    let ppid = Some(entry.ppid);
    if process.available.parents && process.account.row.ppid != ppid {
        process.account.edit_row().ppid = ppid;
        process.changed.mark(process.account);
    }
}

/// Updates a process from its thread-group leader. Returns whether anything
/// changed.
fn update_from_leader(
    account: &mut ProcessAccount,
    entry: &TaskEntry,
    changed_comm: Option<Arc<str>>,
) -> bool {
    let mut is_changed = changed_comm.is_some();
    if let Some(comm) = changed_comm {
        account.edit_row().comm = comm;
    }
    // The event of an execve was dropped, or has not been read yet.
    let exec_id = entry.exec_id as u32;
    let before = account.exec_id.replace(exec_id);
    if before.is_some_and(|before| before != exec_id) {
        account.edit_row().cmdline = None;
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

/// The fields of a row that mostly only passes change.
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
