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
    /// Changes when it executes another program.
    pub(super) program: ProgramMark,
    /// How it ended, once it has.
    pub(super) exit_status: Option<ExitStatus>,
    /// Whether it has ended, and only waits for its parent to ask.
    pub(super) is_zombie: bool,
    /// The file that is read at each scan.
    pub(super) schedstat_file: HeldFile,
    schedstat: Option<Schedstat>,
    /// Whether it ever had more than one thread.
    had_threads: bool,
    /// The cgroup that it counts in.
    pub(super) member: TableMember,
}

/// Which files of a process are to be read that it can keep from being read:
/// see [`ProcessReads`](crate::source::ProcessReads).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct WantedFiles {
    pub(super) cmdline: bool,
    pub(super) io: bool,
}

/// What they said; `None` where they could not be read.
#[derive(Debug, Default)]
pub(super) struct FoundFiles {
    pub(super) cmdline: Option<Cmdline>,
    pub(super) io: Option<Io>,
}

impl WantedFiles {
    pub(super) const fn any(self) -> bool {
        self.cmdline || self.io
    }

    /// Reads them; blocks for as long as the process likes.
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

/// How much later `stat` may have been read than `schedstat`, in time on a CPU:
/// beyond it, the difference is that of threads that have ended.
const READ_APART_NS: u64 = 5 * 1_000_000_000 / CLOCK_TICKS_PER_SECOND;

impl Row {
    /// A process that was not known before, and what else is to be read of it.
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

    /// Whether the process has run since it was last looked at.
    ///
    /// Of a process with one thread, `schedstat` alone tells: it counts how
    /// often the thread got a CPU. A process that has not run has changed
    /// nothing of its own, so nothing else needs to be read.
    pub(super) fn has_run(&self, schedstat: Option<Schedstat>) -> bool {
        self.had_threads || self.schedstat.is_none() || self.schedstat != schedstat
    }

    /// Takes over what is new, and reads what else may be. With `details`, what
    /// hardly ever changes is read too. What the process can keep from being
    /// read is not read here: it is returned.
    pub(super) fn update(
        &mut self,
        tick: &Tick,
        stat: &Stat,
        schedstat: Option<Schedstat>,
        details: bool,
    ) -> WantedFiles {
        // Reaped while the file was read: its counters are shown as 0, and so
        // is its parent. What was last seen of it stands.
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
        // The switches in `status` are those of the leading thread.
        let single = !self.had_threads;
        if details || single && has_run || page_bytes.is_none() {
            let status = read(tick, stat.pid, "status", proc_pid::parse_status).unwrap_or_default();
            process.voluntary_switches = status.voluntary_switches.filter(|_| single);
            process.involuntary_switches = status.involuntary_switches.filter(|_| single);
            process.rss_bytes = process.rss_bytes.or(status.rss_bytes);
            process.uid = status.uid.or(process.uid);
            // Of a zombie the cgroup is that in which it exited, but version 1
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
            // Who may not read it once is not asked at each reading.
            io: details || has_run && process.read_bytes.is_some(),
        }
    }

    /// Takes over what was read of files that the process can keep from being
    /// read. Returns whether anything is new.
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

    /// Counts what it used in its cgroup. What it used since the last time
    /// counts where it is now: when it was moved is not known.
    pub(super) fn count(&mut self, cgroups: &mut CgroupTable) {
        if let Some(path) = &self.process.cgroup {
            let group = cgroups.of_path(path);
            cgroups.enter(&mut self.member, group);
        }
        cgroups.count(&mut self.member, &Usage::of(&self.process));
    }

    /// `schedstat`, if it is of the whole process: it is that of the leading
    /// thread, which is the whole if there was never another one.
    ///
    /// Threads that ended before the process was first seen show in the times
    /// of the whole process, which have theirs too.
    fn exact(&self, stat: &Stat) -> Option<Schedstat> {
        let schedstat = self.schedstat.filter(|_| !self.had_threads)?;
        let whole_ns = stat.user_ns.saturating_add(stat.system_ns);
        (whole_ns <= schedstat.cpu_ns.saturating_add(READ_APART_NS)).then_some(schedstat)
    }
}

/// Reads `schedstat`; `None` if the process has ended, or the kernel has no such
/// file.
pub(super) fn read_schedstat(tick: &Tick, file: &mut HeldFile) -> Option<Schedstat> {
    let bytes = tick.read_held(file).ok()?;
    proc_pid::parse_schedstat(&bytes).ok()
}

/// Reads and parses a file of a process; `None` if that fails: the process has
/// ended, or the right is missing.
pub(super) fn read<T>(
    tick: &Tick,
    pid: u32,
    file: &str,
    parser: impl FnOnce(&[u8]) -> Result<T, crate::source::ParseError>,
) -> Option<T> {
    // Nobody else reads it in this tick: it is not kept for others.
    parser(&tick.read_once(&format!("/proc/{pid}/{file}")).ok()?).ok()
}

/// Sets a counter, which never falls, also when the way in which it is known
/// changes.
fn grow(counter: &mut Option<u64>, value: u64) {
    *counter = Some(counter.unwrap_or(0).max(value));
}

/// Replaces a text, unless it is the same or the new one is not known. Returns
/// whether it did.
fn replace(text: &mut Option<Arc<str>>, new: Option<Arc<str>>) -> bool {
    let is_new = new.is_some() && *text != new;
    if is_new {
        *text = new;
    }
    is_new
}
