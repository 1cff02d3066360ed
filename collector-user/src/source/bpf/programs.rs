use aya::Ebpf;
use collector_ebpf::TaskEntry;

use super::{
    CpuRecords, CpuTimesReader, CpuTimesUnused, EventRing, IterError, MissedRuns, PreemptionCounts,
    ThreadRecords, events::DebugLog, iter,
};

/// The loaded programs and their maps. Dropping it detaches the programs.
pub(crate) struct Programs {
    pub(crate) cpus: CpuRecords,
    pub(crate) threads: ThreadRecords,
    pub(crate) events: EventRing,
    pub(crate) preemptions: PreemptionCounts,
    /// Skipped runs of the program on `sched_process_exec`.
    pub(crate) missed_execs: Option<MissedRuns>,
    /// Skipped runs of the program on `cgroup_attach_task`.
    pub(crate) missed_moves: Option<MissedRuns>,
    pub(super) cpu_times: Option<CpuTimesReader>,
    pub(super) debug_log: Option<DebugLog>,
    pub(super) ebpf: Ebpf,
}

impl Programs {
    /// Visits all tasks of the host.
    pub(crate) fn visit_tasks(
        &mut self,
        mut visit: impl FnMut(&TaskEntry, &ThreadRecords),
    ) -> Result<(), IterError> {
        let threads = &self.threads;
        iter::visit_all(&mut self.ebpf, |entry| visit(entry, threads))
    }

    /// Compares the times of the CPUs with `/proc/stat`. They are not used if
    /// they differ.
    ///
    /// # Errors
    ///
    /// How they differ, and what would help.
    pub(crate) fn check_cpu_times(&mut self) -> Result<(), CpuTimesUnused> {
        let Some(reader) = &mut self.cpu_times else {
            return Ok(());
        };
        let checked = reader.check(&self.ebpf);
        if checked.is_err() {
            self.cpu_times = None;
        }
        checked
    }

    /// Reads the times of the CPUs, if they are used.
    pub(crate) fn read_cpu_times(&mut self) {
        if let Some(reader) = &mut self.cpu_times
            && let Err(error) = reader.read(&self.ebpf)
        {
            tracing::error!(%error, "the program read_cpus cannot be run: /proc/stat is read instead");
            self.cpu_times = None;
        }
    }

    /// The times of the CPUs as last read; `None` if they are not used.
    pub(crate) const fn cpu_times(&self) -> Option<&CpuTimesReader> {
        self.cpu_times.as_ref()
    }

    /// Logs the lines that the programs have written, if they were built to.
    pub(crate) fn flush_debug_log(&mut self) {
        if let Some(log) = &mut self.debug_log {
            log.flush();
        }
    }
}
