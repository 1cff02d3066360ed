//! What is told of the CPUs: by the program that reads them, and by those that
//! see them switch.

use super::{
    super::{
        cpu_reader::{CpuReader, Unused},
        known::Known,
    },
    State,
    slices::{Holder, Slice},
};
use crate::{
    metric::{CpuStats, CpuTimes},
    source::Tick,
};

/// What was told of a CPU last. What is in flight is an estimate, and a switch
/// that is found to have been hidden takes it back; but totals never shrink.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::source::ebpf) struct Told {
    busy_ns: Option<u64>,
    idle_task_ns: Option<u64>,
}

impl State {
    /// Compares what the program `read_cpus` tells with `/proc/stat`. If that
    /// is not the same, the program is not used.
    ///
    /// # Errors
    ///
    /// What is not the same, and what would help.
    pub(in crate::source::ebpf) fn check_cpus(&mut self) -> Result<(), Unused> {
        let Some(reader) = &mut self.cpu_reader else {
            return Ok(());
        };
        let checked = reader.check(&self.ebpf);
        if checked.is_err() {
            self.cpu_reader = None;
        }
        checked
    }

    /// Runs the program `read_cpus`, if it is there.
    pub(in crate::source::ebpf) fn read_cpus(&mut self) {
        if let Some(reader) = &mut self.cpu_reader
            && let Err(error) = reader.read(&self.ebpf)
        {
            tracing::error!(%error, "the program read_cpus cannot be run: /proc/stat is read instead");
            self.cpu_reader = None;
        }
    }

    /// What `/proc/stat` would tell, as of the last run of `read_cpus`; `None`
    /// without that.
    pub(in crate::source::ebpf) fn cpu_stats(&self) -> Option<CpuStats> {
        self.cpu_reader.as_ref()?.cpu_stats()
    }

    /// Whether [`cpu_stats`](Self::cpu_stats) can be had.
    pub(in crate::source::ebpf) fn reads_cpus(&self) -> bool {
        self.cpu_reader.as_ref().is_some_and(CpuReader::has_stats)
    }

    /// What the programs know of each CPU.
    pub(in crate::source::ebpf) fn cpu_times(&mut self, now_ns: u64, tick: &Tick) -> Vec<CpuTimes> {
        let mut slices = self.slices(now_ns, tick);
        self.running.clear();
        self.settle_slices(&mut slices);
        self.rows(&slices, now_ns)
    }

    pub(super) fn rows(&mut self, slices: &[Slice], now_ns: u64) -> Vec<CpuTimes> {
        let mut rows = Vec::with_capacity(slices.len());
        for slice in slices {
            let mut row = cpu_times(slice, now_ns, self.known());
            if let Some(told) = self.told.get_mut(slice.cpu as usize) {
                told.busy_ns = told.busy_ns.max(row.busy_ns);
                told.idle_task_ns = told.idle_task_ns.max(row.idle_task_ns);
                row.busy_ns = told.busy_ns;
                row.idle_task_ns = told.idle_task_ns;
            }
            rows.push(row);
        }
        rows
    }
}

/// What the programs know of a CPU, up to now.
fn cpu_times(slice: &Slice, now_ns: u64, known: &Known) -> CpuTimes {
    let cpu = &slice.counters;
    let (busy, idle) = match &slice.holder {
        Holder::Idle { since_ns } => (0, now_ns.saturating_sub(*since_ns)),
        Holder::Thread(thread) => (thread.in_flight_ns, 0),
        // No process is charged for it, and some kernels hide the switches of
        // some tasks, so it may have left: it counts when it is seen to.
        Holder::Unknown => (0, 0),
    };
    CpuTimes {
        cpu: Some(slice.cpu),
        busy_ns: Some(cpu.busy_ns + busy),
        idle_task_ns: Some(cpu.idle_ns + idle),
        unattributed_ns: Some(cpu.unattributed_ns),
        voluntary_switches: Some(cpu.voluntary_switches),
        involuntary_switches: Some(cpu.involuntary_switches),
        idle_switches: Some(cpu.idle_switches),
        wakeups: known.wakeups.then_some(cpu.wakeups),
        ..CpuTimes::default()
    }
}
