use collector_ebpf::{CpuCounters, CpuReading, Thread};

use super::{
    AvailableFields, RunningThread, scheduler_clock::uncharged_ns, task_state::OngoingSleep,
};
use crate::metric::CpuTimes;

/// The counters of a CPU, and its current task, which has a slice in flight.
#[derive(Debug)]
pub(crate) struct CpuSlice {
    pub(crate) cpu: u32,
    pub(crate) counters: CpuCounters,
    pub(crate) current: CurrentTask,
}

/// The current task of a CPU.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most are threads, and there is one per CPU"
)]
pub(crate) enum CurrentTask {
    /// The idle task.
    Idle {
        /// When it was switched in, by `CLOCK_MONOTONIC`.
        since_ns: u64,
    },
    /// A thread that has a record.
    Thread(CurrentThread),
    /// A task without a record; or the task, or its switch-in, was not seen.
    Unknown,
}

/// The current thread of a CPU.
#[derive(Debug)]
pub(crate) struct CurrentThread {
    pub(crate) slot: u32,
    /// Its record, as of its last switch-out.
    pub(crate) record: Thread,
    /// When it was switched in; `None` if that was not seen.
    pub(crate) since_ns: Option<u64>,
    /// Its CPU time that is not in its record.
    in_flight_ns: u64,
    /// The kernel's counters, if the CPUs were read.
    reading: Option<CpuReading>,
}

impl CurrentThread {
    pub(crate) fn new(
        slot: u32,
        record: Thread,
        since_ns: Option<u64>,
        reading: Option<&CpuReading>,
    ) -> Self {
        Self {
            slot,
            record,
            since_ns,
            in_flight_ns: 0,
            reading: reading.copied(),
        }
    }

    /// Sets the time in flight as of `now_ns`. `clock_offset_ns` is that of the
    /// [scheduler's clock](super::clock_offset_ns), if known.
    fn set_time_in_flight(&mut self, now_ns: u64, clock_offset_ns: Option<u64>) {
        self.in_flight_ns = match &self.reading {
            Some(reading) => {
                let before_ns = self.record.cpu_ns;
                let charged = reading.cpu_ns.saturating_sub(before_ns);
                charged.saturating_add(uncharged_ns(reading, before_ns, clock_offset_ns))
            }
            None => self
                .since_ns
                .map_or(0, |since_ns| now_ns.saturating_sub(since_ns)),
        };
    }

    /// The record with the kernel's counters as of the reading of the CPUs, and
    /// the thread's slice beyond these.
    pub(crate) fn charged(&self, now_ns: u64) -> (Thread, RunningThread) {
        let record = &self.record;
        let mut charged = *record;
        if let Some(reading) = &self.reading {
            charged.cpu_ns = charged.cpu_ns.max(reading.cpu_ns);
            charged.user_ns = charged.user_ns.max(reading.user_ns);
            charged.system_ns = charged.system_ns.max(reading.system_ns);
            charged.runqueue_ns = charged.runqueue_ns.max(reading.runqueue_ns);
            charged.minor_faults = charged.minor_faults.max(reading.minor_faults);
            charged.major_faults = charged.major_faults.max(reading.major_faults);
        }
        if let (Some(since_ns), Some(_), Some(sleep)) = (
            self.since_ns,
            &self.reading,
            OngoingSleep::of_record(record),
        ) {
            // As the switch program will count it at the switch-out.
            let off_cpu_ns = since_ns.saturating_sub(sleep.since_ns);
            let waited_ns = charged.runqueue_ns.saturating_sub(record.runqueue_ns);
            let slept_ns = off_cpu_ns.saturating_sub(waited_ns);
            if sleep.is_uninterruptible {
                charged.uninterruptible_ns += slept_ns;
            } else {
                charged.interruptible_ns += slept_ns;
            }
        }
        let growth = charged.cpu_ns.saturating_sub(record.cpu_ns);
        let uncharged = self.in_flight_ns.saturating_sub(growth);
        let running = RunningThread {
            slot: self.slot,
            since_ns: now_ns.saturating_sub(uncharged),
            cpu_ns: charged.cpu_ns,
        };
        (charged, running)
    }
}

impl CpuSlice {
    /// Sets the time in flight of a thread as of `now_ns`. `clock_offset_ns` is
    /// that of the [scheduler's clock](super::clock_offset_ns), if known.
    pub(crate) fn set_time_in_flight(&mut self, now_ns: u64, clock_offset_ns: Option<u64>) {
        if let CurrentTask::Thread(thread) = &mut self.current {
            thread.set_time_in_flight(now_ns, clock_offset_ns);
        }
    }

    /// The times of the CPU up to `now_ns`.
    pub(crate) fn times(&self, now_ns: u64, available: &AvailableFields) -> CpuTimes {
        let cpu = &self.counters;
        let (busy, idle) = match &self.current {
            CurrentTask::Idle { since_ns } => (0, now_ns.saturating_sub(*since_ns)),
            CurrentTask::Thread(thread) => (thread.in_flight_ns, 0),
            // No process is charged for it; and since some kernels hide the
            // switches of some tasks, it may have been switched out. It counts
            // from its next switch on.
            CurrentTask::Unknown => (0, 0),
        };
        CpuTimes {
            cpu: Some(self.cpu),
            busy_ns: Some(cpu.busy_ns + busy),
            idle_task_ns: Some(cpu.idle_ns + idle),
            unattributed_ns: Some(cpu.unattributed_ns),
            voluntary_switches: Some(cpu.voluntary_switches),
            involuntary_switches: Some(cpu.involuntary_switches),
            idle_switches: Some(cpu.idle_switches),
            wakeups: available.wakeups.then_some(cpu.wakeups),
            ..CpuTimes::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakeups_are_unknown_and_not_zero_where_they_are_not_traced() {
        let slice = CpuSlice {
            cpu: 1,
            counters: CpuCounters::default(),
            current: CurrentTask::Unknown,
        };
        let wakeups = |wakeups| {
            let available = AvailableFields {
                wakeups,
                ..AvailableFields::ALL
            };
            slice.times(9, &available).wakeups
        };
        assert_eq!((wakeups(false), wakeups(true)), (None, Some(0)));
    }
}
