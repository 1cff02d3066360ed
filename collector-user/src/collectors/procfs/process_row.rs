use std::sync::Arc;

use crate::{
    accounting::cgroup::{CgroupTable, TableMember, Usage, container_of},
    metric::Process,
    source::{
        HeldFile, ProcessFiles, Tick,
        procfs::{
            CLOCK_TICKS_PER_SECOND,
            proc_pid::{self, Cmdline, ExitStatus, Io, ProgramMark, Schedstat, Stat},
        },
    },
};

/// One process, as it was last seen.
#[derive(Debug)]
pub(super) struct Row {
    /// What is published, and shared with the readings that show it.
    pub(super) process: Arc<Process>,
    /// Changes when the process executes a program.
    pub(super) program: ProgramMark,
    /// The exit status, once it has exited.
    pub(super) exit_status: Option<ExitStatus>,
    /// Whether it has exited and is not reaped yet.
    pub(super) is_zombie: bool,
    /// The file that is read at each scan.
    pub(super) schedstat_file: HeldFile,
    schedstat: Option<Schedstat>,
    /// Whether it ever had more than one thread.
    had_threads: bool,
    /// The cgroup that it counts in.
    pub(super) member: TableMember,
}

/// The files of a process to be read whose reads it can block: see
/// [`ProcessReads`](crate::source::ProcessReads).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct WantedFiles {
    pub(super) cmdline: bool,
    pub(super) io: bool,
}

/// Their content; `None` if they could not be read.
#[derive(Debug, Default)]
pub(super) struct FoundFiles {
    pub(super) cmdline: Option<Cmdline>,
    pub(super) io: Option<Io>,
}

impl WantedFiles {
    pub(super) const fn any(self) -> bool {
        self.cmdline || self.io
    }

    /// Reads them; may block indefinitely.
    pub(super) fn read(self, files: &ProcessFiles, pid: u32) -> FoundFiles {
        let read = |wanted: bool, file: &str| {
            let path = wanted.then(|| format!("/proc/{pid}/{file}"))?;
            files.read(&path).ok()
        };
        FoundFiles {
            cmdline: read(self.cmdline, "cmdline").map(|bytes| proc_pid::parse_cmdline(&bytes)),
            io: read(self.io, "io").and_then(|bytes| proc_pid::parse_io(&bytes).ok()),
        }
    }
}

/// The most CPU time that may pass between the reads of `schedstat` and `stat`: a
/// larger difference is that of exited threads.
const READ_APART_NS: u64 = 5 * 1_000_000_000 / CLOCK_TICKS_PER_SECOND;

impl Row {
    /// A new process, and the files that are to be read of it.
    pub(super) fn new(
        tick: &Tick,
        stat: &Stat,
        schedstat: Option<Schedstat>,
        schedstat_file: HeldFile,
    ) -> (Self, WantedFiles) {
        let mut row = Self {
            process: Arc::new(Process {
                pid: stat.pid,
                start_time_ns: stat.start_time_ns,
                kernel_thread: Some(stat.kernel_thread),
                ..Process::default()
            }),
            program: stat.program,
            exit_status: None,
            is_zombie: false,
            schedstat_file,
            schedstat: None,
            had_threads: false,
            member: TableMember::default(),
        };
        let wanted = row.update(tick, stat, schedstat, true);
        (row, wanted)
    }

    /// Whether the process has run since it was last read.
    ///
    /// Of a process with one thread, `schedstat` has that: it counts the slices of
    /// the thread. A process that has not run has not changed, so that nothing else
    /// needs to be read.
    pub(super) fn has_run(&self, schedstat: Option<Schedstat>) -> bool {
        self.had_threads || self.schedstat.is_none() || self.schedstat != schedstat
    }

    /// Updates the row, and reads further files that may have changed. With
    /// `details`, fields that rarely change are read too. Files whose reads the
    /// process can block are not read here, but returned.
    pub(super) fn update(
        &mut self,
        tick: &Tick,
        stat: &Stat,
        schedstat: Option<Schedstat>,
        details: bool,
    ) -> WantedFiles {
        // Reaped while the file was read: its counters and its parent are 0 in
        // the file. The last values are kept.
        if stat.threads == 0 {
            self.is_zombie |= stat.has_exited();
            let process = Arc::make_mut(&mut self.process);
            process.state = stat.state;
            if process.comm.is_empty() {
                process.comm = Arc::clone(&stat.comm);
            }
            return WantedFiles::default();
        }
        let has_run = self.has_run(schedstat);
        self.had_threads |= stat.threads > 1;
        self.is_zombie = stat.has_exited();
        self.exit_status = stat.exit_status;
        if stat.program.is_known() {
            self.program = stat.program;
        }
        self.schedstat = schedstat;
        let exact = self.exact(stat);
        let process = Arc::make_mut(&mut self.process);
        if *process.comm != *stat.comm {
            process.comm = Arc::clone(&stat.comm);
        }
        process.ppid = Some(stat.ppid);
        process.state = stat.state;
        process.threads = Some(stat.threads);
        grow(&mut process.user_ns, stat.user_ns);
        grow(&mut process.system_ns, stat.system_ns);
        let cpu_ns = exact.map_or(stat.user_ns.saturating_add(stat.system_ns), |s| s.cpu_ns);
        grow(&mut process.cpu_ns, cpu_ns);
        process.runqueue_ns = exact.map(|schedstat| schedstat.runqueue_ns);
        grow(&mut process.minor_faults, stat.minor_faults);
        grow(&mut process.major_faults, stat.major_faults);
        process.vm_bytes = Some(stat.vm_bytes);

        let page_bytes = tick.sources().page_size_bytes();
        process.rss_bytes = page_bytes.map(|bytes| stat.rss_pages.saturating_mul(bytes));
        // The switches in `status` are those of the thread-group leader.
        let single = !self.had_threads;
        if details || single && has_run || page_bytes.is_none() {
            let status = read(tick, stat.pid, "status", proc_pid::parse_status).unwrap_or_default();
            process.voluntary_switches = status.voluntary_switches.filter(|_| single);
            process.involuntary_switches = status.involuntary_switches.filter(|_| single);
            process.rss_bytes = process.rss_bytes.or(status.rss_bytes);
            process.uid = status.uid.or(process.uid);
            // The cgroup of a zombie is the one in which it exited, but version 1
            // does not show it.
            if details && (!self.is_zombie || process.cgroup.is_none()) {
                let parse = if self.is_zombie {
                    proc_pid::parse_zombie_cgroup
                } else {
                    proc_pid::parse_cgroup
                };
                let cgroup = read(tick, stat.pid, "cgroup", |bytes| Ok(parse(bytes)));
                if replace(&mut process.cgroup, cgroup.flatten().map(Arc::from)) {
                    let path = process.cgroup.as_deref();
                    process.container = path.and_then(container_of).map(Arc::new);
                }
            }
        } else if !single {
            process.voluntary_switches = None;
            process.involuntary_switches = None;
        }
        WantedFiles {
            cmdline: details && !self.is_zombie,
            // Not read at each scan if it could not be read once.
            io: details || has_run && process.read_bytes.is_some(),
        }
    }

    /// Updates the row from files whose reads the process can block. Returns whether
    /// anything changed.
    pub(super) fn take(&mut self, found: &FoundFiles) -> bool {
        let cmdline = found.cmdline.as_ref().map(Cmdline::joined);
        let io = found.io.filter(|io| {
            self.process.read_bytes != Some(io.read_bytes)
                || self.process.write_bytes != Some(io.write_bytes)
        });
        let is_new = io.is_some() || cmdline.is_some() && self.process.cmdline != cmdline;
        if is_new {
            let process = Arc::make_mut(&mut self.process);
            replace(&mut process.cmdline, cmdline);
            if let Some(io) = io {
                process.read_bytes = Some(io.read_bytes);
                process.write_bytes = Some(io.write_bytes);
            }
        }
        is_new
    }

    /// Counts its usage in its cgroup. The usage since the last scan counts in the
    /// present cgroup, because the time of a move is unknown.
    pub(super) fn count(&mut self, cgroups: &mut CgroupTable) {
        if let Some(path) = &self.process.cgroup {
            let group = cgroups.of_path(path);
            cgroups.enter(&mut self.member, group);
        }
        cgroups.count(&mut self.member, &Usage::of(&self.process));
    }

    /// `schedstat`, if it has the time of the whole process: it is that of the
    /// thread-group leader, and of the process if there never was another thread.
    ///
    /// Threads that exited before the process was first seen are detected by the
    /// times of the whole process, which include theirs.
    fn exact(&self, stat: &Stat) -> Option<Schedstat> {
        let schedstat = self.schedstat.filter(|_| !self.had_threads)?;
        let whole_ns = stat.user_ns.saturating_add(stat.system_ns);
        (whole_ns <= schedstat.cpu_ns.saturating_add(READ_APART_NS)).then_some(schedstat)
    }
}

/// Reads `schedstat`; `None` if the process has exited, or the kernel has no such
/// file.
pub(super) fn read_schedstat(tick: &Tick, file: &mut HeldFile) -> Option<Schedstat> {
    let bytes = tick.read_held(file).ok()?;
    proc_pid::parse_schedstat(&bytes).ok()
}

/// Reads and parses a file of a process; `None` if that fails, because the process
/// has exited or the rights are missing.
pub(super) fn read<T>(
    tick: &Tick,
    pid: u32,
    file: &str,
    parser: impl FnOnce(&[u8]) -> Result<T, crate::source::ParseError>,
) -> Option<T> {
    // It is read once per tick, so that it is not kept for other readers.
    parser(&tick.read_once(&format!("/proc/{pid}/{file}")).ok()?).ok()
}

/// Sets a counter, which never decreases, even if its source changes.
fn grow(counter: &mut Option<u64>, value: u64) {
    *counter = Some(counter.unwrap_or(0).max(value));
}

/// Replaces a text, unless it is the same or the new one is unknown. Returns
/// whether it did.
fn replace(text: &mut Option<Arc<str>>, new: Option<Arc<str>>) -> bool {
    let is_new = new.is_some() && *text != new;
    if is_new {
        *text = new;
    }
    is_new
}
