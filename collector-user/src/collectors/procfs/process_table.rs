use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::process_row::{self, FoundFiles, Row, WantedFiles};
use crate::{
    accounting::cgroup::{CgroupTable, Usage},
    metric::{
        Cgroup, ExecEvent, ExitEvent, ExitedTotals, ForkEvent, HasProcessCounters as _,
        ProcessEvent, ProcessList,
    },
    source::{
        HeldFile, ProcessReads, SourceError, Tick,
        procfs::{
            loadavg,
            proc_pid::{self, Cmdline, ExitStatus},
        },
    },
};

/// The processes as of the last scan of `/proc`, and the events since.
///
/// Both the statistics and the events are derived from it, so that each process
/// is read once for both.
#[derive(Debug)]
pub(super) struct ProcessTable {
    rows: HashMap<u32, Row>,
    list: ProcessList,
    /// Reads that a process can block, made by other threads. The key is the PID
    /// and the start time.
    reads: ProcessReads<(u32, u64), FoundFiles>,
    /// The processes of this scan that may have changed.
    changed: Vec<u32>,
    exited: ExitedTotals,
    cgroups: CgroupTable,
    scans: u64,
    scanned_at_ns: Option<u64>,
    events_wanted_at_ns: Option<u64>,
    events: VecDeque<ProcessEvent>,
}

/// Memory and state of processes that have not run are read again every Nth scan,
/// a part of the processes at each scan.
const REFRESH_EVERY: u64 = 10;
/// Fields that rarely change are read again every Nth scan.
const DETAILS_EVERY: u64 = 60;
/// Events are kept while they are polled at least this often.
const EVENTS_WANTED_NS: u64 = 5_000_000_000;
/// The most events that are kept; then the oldest are dropped.
const MAX_EVENTS: usize = 65_536;

impl ProcessTable {
    pub(super) fn new() -> Self {
        Self {
            rows: HashMap::new(),
            list: ProcessList::default(),
            reads: ProcessReads::default(),
            changed: Vec::new(),
            exited: ExitedTotals {
                processes: Some(0),
                cpu_ns: Some(0),
                user_ns: Some(0),
                system_ns: Some(0),
                minor_faults: Some(0),
                major_faults: Some(0),
                ..ExitedTotals::default()
            },
            cgroups: CgroupTable::default(),
            scans: 0,
            scanned_at_ns: None,
            events_wanted_at_ns: None,
            events: VecDeque::new(),
        }
    }

    /// The processes, ordered by PID. Unchanged rows are shared with the last list.
    pub(super) fn list(&mut self) -> ProcessList {
        self.list.copy()
    }

    /// The totals of the processes that have exited.
    pub(super) fn exited(&self) -> &ExitedTotals {
        &self.exited
    }

    /// The usage of the processes of each cgroup.
    pub(super) fn cgroups(&mut self) -> Vec<Arc<Cgroup>> {
        self.cgroups.rows()
    }

    /// The events since the last call, if that was recent; otherwise none, and events
    /// are kept from now on.
    pub(super) fn take_events(&mut self, now_ns: u64) -> Vec<ProcessEvent> {
        let wanted = self.wants_events(now_ns);
        self.events_wanted_at_ns = Some(now_ns);
        let events = std::mem::take(&mut self.events);
        if wanted { events.into() } else { Vec::new() }
    }

    /// When the processes were last scanned.
    pub(super) fn scanned_at_ns(&self) -> Option<u64> {
        self.scanned_at_ns
    }

    /// Scans all processes, unless that was done in this tick.
    pub(super) fn scan(&mut self, tick: &Tick) -> Result<(), SourceError> {
        let now_ns = tick.monotonic_ns();
        if self.scanned_at_ns == Some(now_ns) {
            return Ok(());
        }
        let pids = proc_pid::list(tick)?;
        let mut changes = Changes::new(tick, self.scans > 0 && self.wants_events(now_ns));
        self.scans += 1;
        let mut before = std::mem::take(&mut self.rows);
        self.rows.reserve(pids.len());
        for pid in pids {
            self.scan_process(tick, pid, before.remove(&pid), &mut changes);
        }
        for row in before.into_values() {
            self.count_exited(&row, &mut changes);
        }
        self.take_reads(tick, &mut changes);
        for pid in std::mem::take(&mut self.changed) {
            if let Some(row) = self.rows.get_mut(&pid) {
                row.count(&mut self.cgroups);
                self.list.insert_shared(Arc::clone(&row.process));
            }
        }
        if self.scans.is_multiple_of(DETAILS_EVERY) {
            // Whether a cgroup exists is not checked: if a process enters it again,
            // it gets a new row.
            self.cgroups.sweep(|_, _| false);
        }
        self.scanned_at_ns = Some(now_ns);
        self.events.extend(changes.events);
        let too_many = self.events.len().saturating_sub(MAX_EVENTS);
        self.events.drain(..too_many);
        Ok(())
    }

    fn wants_events(&self, now_ns: u64) -> bool {
        self.events_wanted_at_ns
            .is_some_and(|at| now_ns.saturating_sub(at) <= EVENTS_WANTED_NS)
    }

    fn scan_process(
        &mut self,
        tick: &Tick,
        pid: u32,
        mut known: Option<Row>,
        changes: &mut Changes<'_>,
    ) {
        let is_due = |every: u64| u64::from(pid) % every == self.scans % every;
        let (refresh, details) = (is_due(REFRESH_EVERY), is_due(DETAILS_EVERY));
        // Read first, so that `stat` is never older.
        let mut new_file = None;
        let file = match &mut known {
            Some(row) => &mut row.schedstat_file,
            None => new_file.insert(schedstat_file(pid)),
        };
        let schedstat = process_row::read_schedstat(tick, file);
        if let Some(row) = &known
            && !refresh
            && schedstat.is_some()
            && !row.has_run(schedstat)
        {
            self.rows.extend(known.map(|row| (pid, row)));
            return;
        }
        let stat = process_row::read(tick, pid, "stat", proc_pid::parse_stat);
        // In a captured tree the PID may differ from the name of the directory.
        let Some(stat) = stat.filter(|stat| stat.pid == pid) else {
            if let Some(row) = known {
                self.count_exited(&row, changes);
            }
            return;
        };
        let row = match known {
            Some(mut row) if row.process.start_time_ns == stat.start_time_ns => {
                let executed = stat.program.differs_from(row.program);
                let was_zombie = row.is_zombie;
                let wanted = row.update(tick, &stat, schedstat, details || executed);
                let is_event = executed && changes.executed(tick, &row);
                self.request_reads(tick, &row, wanted, is_event);
                if row.is_zombie && !was_zombie {
                    changes.exited(&row);
                }
                row
            }
            known => {
                if let Some(row) = known {
                    self.count_exited(&row, changes);
                }
                let file = new_file.unwrap_or_else(|| schedstat_file(pid));
                let (row, wanted) = Row::new(tick, &stat, schedstat, file);
                let parent = self.rows.get(&stat.ppid);
                changes.began(&row);
                // A fork leaves the program at the same addresses as in the parent.
                let executed =
                    parent.is_some_and(|parent| row.program.differs_from(parent.program));
                let is_event = executed && changes.executed(tick, &row);
                self.request_reads(tick, &row, wanted, is_event);
                if row.is_zombie {
                    changes.exited(&row);
                }
                row
            }
        };
        self.changed.push(pid);
        self.rows.insert(pid, row);
    }

    /// Requests reads that the process can block.
    fn request_reads(&mut self, tick: &Tick, row: &Row, wanted: WantedFiles, is_event: bool) {
        let wanted = WantedFiles {
            cmdline: wanted.cmdline || is_event,
            ..wanted
        };
        if wanted.any() {
            let process = &row.process;
            let (pid, key) = (process.pid, (process.pid, process.start_time_ns));
            self.reads
                .read(tick.sources(), key, process.uid, move |files| {
                    wanted.read(files, pid)
                });
        }
    }

    /// Takes over the results of such reads: of this scan, or late ones of earlier
    /// scans.
    fn take_reads(&mut self, tick: &Tick, changes: &mut Changes<'_>) {
        for ((pid, start_time_ns), found) in self.reads.finish(tick.sources()) {
            let row = self.rows.get_mut(&pid);
            let Some(row) = row.filter(|row| row.process.start_time_ns == start_time_ns) else {
                continue;
            };
            if row.take(&found) {
                self.changed.push(pid);
            }
            if let Some(cmdline) = found.cmdline {
                changes.found_arguments((pid, start_time_ns), cmdline);
            }
        }
        self.changed.sort_unstable();
        self.changed.dedup();
    }

    fn count_exited(&mut self, row: &Row, changes: &mut Changes<'_>) {
        let exited = &mut self.exited;
        let process = &row.process;
        self.list.remove(process.pid, process.start_time_ns);
        self.cgroups.leave(row.member, &Usage::of(process));
        exited.processes = exited.processes.map(|processes| processes + 1);
        let sums = exited.process_counters();
        let sums = sums.zip(process.process_counters(), |sum, last| {
            Some(sum?.saturating_add(last.unwrap_or(0)))
        });
        exited.set_process_counters(&sums);
        if !row.is_zombie {
            changes.exited(row);
        }
    }
}

fn schedstat_file(pid: u32) -> HeldFile {
    HeldFile::new(format!("/proc/{pid}/schedstat"))
}

/// The events of one scan, if there is a subscriber.
struct Changes<'a> {
    tick: &'a Tick,
    wanted: bool,
    events: Vec<ProcessEvent>,
    /// The index of the `exec` event of a process.
    executed: HashMap<(u32, u64), usize>,
}

impl<'a> Changes<'a> {
    fn new(tick: &'a Tick, wanted: bool) -> Self {
        Self {
            tick,
            wanted,
            events: Vec::new(),
            executed: HashMap::new(),
        }
    }

    fn began(&mut self, row: &Row) {
        if !self.wanted {
            return;
        }
        let process = &row.process;
        self.events.push(ProcessEvent::Fork(ForkEvent {
            time: self.wall_clock(process.start_time_ns),
            pid: process.pid,
            ppid: process.ppid,
            start_time_ns: process.start_time_ns,
            comm: process.comm.clone(),
        }));
    }

    /// Returns whether the arguments are to be read, for
    /// [`found_arguments`](Self::found_arguments).
    fn executed(&mut self, tick: &Tick, row: &Row) -> bool {
        if !self.wanted {
            return false;
        }
        let process = &row.process;
        let key = (process.pid, process.start_time_ns);
        self.executed.insert(key, self.events.len());
        self.events.push(ProcessEvent::Exec(ExecEvent {
            time: tick.began_at(),
            pid: process.pid,
            ppid: process.ppid,
            start_time_ns: process.start_time_ns,
            comm: process.comm.clone(),
            filename: None,
            argv: None,
            argv_truncated: false,
        }));
        true
    }

    fn found_arguments(&mut self, key: (u32, u64), cmdline: Cmdline) {
        let event = self
            .executed
            .get(&key)
            .and_then(|&index| self.events.get_mut(index));
        if let Some(ProcessEvent::Exec(event)) = event {
            event.argv_truncated = cmdline.truncated;
            event.argv = Some(cmdline.arguments);
        }
    }

    fn exited(&mut self, row: &Row) {
        if !self.wanted {
            return;
        }
        let process = &row.process;
        // The counters of a zombie are final; those of a process that was last
        // seen alive are not.
        let last = |value: Option<u64>| value.filter(|_| row.is_zombie);
        self.events.push(ProcessEvent::Exit(ExitEvent {
            time: self.tick.began_at(),
            pid: process.pid,
            ppid: process.ppid,
            start_time_ns: process.start_time_ns,
            // Unknown: since the last scan.
            end_time_ns: None,
            lifetime_ns: None,
            comm: process.comm.clone(),
            exit_code: row.exit_status.and_then(ExitStatus::code),
            signal: row.exit_status.and_then(ExitStatus::signal),
            core_dumped: row.exit_status.map(ExitStatus::core_dumped),
            cpu_ns: last(process.cpu_ns),
            user_ns: last(process.user_ns),
            system_ns: last(process.system_ns),
            runqueue_ns: last(process.runqueue_ns),
            blocked_ns: None,
            interruptible_sleep_ns: None,
            uninterruptible_sleep_ns: None,
            voluntary_switches: last(process.voluntary_switches),
            involuntary_switches: last(process.involuntary_switches),
            minor_faults: last(process.minor_faults),
            major_faults: last(process.major_faults),
        }));
    }

    /// A time since boot as wall-clock time; that of the tick if the uptime is
    /// unknown.
    fn wall_clock(&self, since_boot_ns: u64) -> SystemTime {
        let now = self.tick.began_at();
        let uptime_ns = self.tick.parse("/proc/uptime", loadavg::parse_uptime_ns);
        let ago_ns = uptime_ns.map_or(0, |uptime_ns| uptime_ns.saturating_sub(since_boot_ns));
        now.checked_sub(Duration::from_nanos(ago_ns)).unwrap_or(now)
    }
}
