use std::sync::atomic::{Ordering, fence};

use collector_ebpf::CpuCounters;

use super::online::OnlineCpus;
use crate::{
    accounting::{
        Accounts, AvailableFields, CpuSlice, CurrentTask, CurrentThread, RunningThread,
        clock_offset_ns,
    },
    metric::CpuTimes,
    source::{
        Tick,
        bpf::{CpuRecords, Programs},
    },
};

/// The most attempts to read a CPU that switches tasks meanwhile.
const ATTEMPTS: u32 = 8;

/// Reads the current task of each CPU, and publishes the times of the CPUs.
#[derive(Debug)]
pub(super) struct CpuSlices {
    online: OnlineCpus,
    published: Vec<PublishedTimes>,
}

/// The last published times of a CPU. Time in flight is an estimate, which may
/// turn out to be too high after a switch that was hidden; but totals never
/// decrease.
#[derive(Clone, Copy, Debug, Default)]
struct PublishedTimes {
    busy_ns: Option<u64>,
    idle_task_ns: Option<u64>,
}

impl CpuSlices {
    pub(super) fn new(cpus: u32) -> Self {
        Self {
            online: OnlineCpus::new(cpus),
            published: vec![PublishedTimes::default(); cpus as usize],
        }
    }

    /// The current task of each CPU that has switched tasks.
    pub(super) fn read(&mut self, programs: &Programs, now_ns: u64, tick: &Tick) -> Vec<CpuSlice> {
        match programs.cpu_times() {
            Some(reader) => self.online.set(reader.online()),
            None => self.online.read(tick),
        }
        let mut slices: Vec<CpuSlice> = (0..programs.cpus.len())
            .filter_map(|cpu| read_slice(programs, cpu))
            .collect();
        for slice in &mut slices {
            if !self.online.is_current(slice.cpu, slice.counters.since_ns) {
                slice.current = CurrentTask::Unknown;
            }
        }
        let clock_offset_ns = clock_offset_ns(slices.iter().map(|slice| slice.counters));
        for slice in &mut slices {
            slice.set_time_in_flight(now_ns, clock_offset_ns);
        }
        slices
    }

    /// The times of the CPUs, which are published.
    pub(super) fn times(
        &mut self,
        slices: &[CpuSlice],
        now_ns: u64,
        available: &AvailableFields,
    ) -> Vec<CpuTimes> {
        let mut rows = Vec::with_capacity(slices.len());
        for slice in slices {
            let mut row = slice.times(now_ns, available);
            if let Some(published) = self.published.get_mut(slice.cpu as usize) {
                published.busy_ns = published.busy_ns.max(row.busy_ns);
                published.idle_task_ns = published.idle_task_ns.max(row.idle_task_ns);
                row.busy_ns = published.busy_ns;
                row.idle_task_ns = published.idle_task_ns;
            }
            rows.push(row);
        }
        rows
    }
}

/// Discards the time in flight of threads that have been charged for it already.
///
/// A CPU stores its next task before it charges the previous one, but only the
/// compiler keeps that order: on arm64 another CPU may see the charge first, and
/// would count the slice twice, permanently, because totals never decrease. Some
/// microseconds later it sees both. So if the CPU has another task by now, and
/// the record of the previous one has not changed since it was first read, that
/// record was from after the charge.
pub(super) fn discard_charged(
    slices: &mut [CpuSlice],
    running: &mut Vec<RunningThread>,
    cpus: &CpuRecords,
    accounts: &Accounts,
) {
    fence(Ordering::SeqCst);
    for slice in slices {
        let CurrentTask::Thread(thread) = &slice.current else {
            continue;
        };
        let Some(again) = cpus.counters(slice.cpu) else {
            continue;
        };
        if is_same_slice(&again, &slice.counters) {
            continue;
        }
        let slot = thread.slot;
        if let Some(at) = running.iter().position(|of| of.slot == slot) {
            if accounts.cpu_ns_of(slot) != running.get(at).map(|of| of.cpu_ns) {
                continue;
            }
            running.swap_remove(at);
        }
        slice.counters = again;
        slice.current = CurrentTask::Unknown;
    }
}

/// The counters and the current task of a CPU, both from before the same switch;
/// of an offline CPU, its last task.
pub(super) fn read_slice(programs: &Programs, cpu: u32) -> Option<CpuSlice> {
    let mut slice = CpuSlice {
        cpu,
        counters: programs.cpus.counters(cpu)?,
        current: CurrentTask::Unknown,
    };
    // A switch in between is detected; if there is one at each attempt, the time
    // in flight of one CPU is unknown.
    for _ in 0..ATTEMPTS {
        fence(Ordering::Acquire);
        let current = current_task(programs, cpu, &slice.counters);
        fence(Ordering::Acquire);
        let again = programs.cpus.counters(cpu)?;
        if is_same_slice(&again, &slice.counters) {
            slice.current = current;
            break;
        }
        slice.counters = again;
    }
    Some(slice)
}

const fn is_same_slice(one: &CpuCounters, other: &CpuCounters) -> bool {
    one.since_ns == other.since_ns && one.task == other.task
}

/// The current task of a CPU with these counters.
///
/// The switch program looks up the record of a thread at its switch-out only. If
/// the CPU has not switched since the CPUs were read, the slot is known from
/// that; otherwise it takes a system call. The task that was read is the current
/// one, even if the switch program has stored another.
fn current_task(programs: &Programs, cpu: u32, counters: &CpuCounters) -> CurrentTask {
    let reading = programs
        .cpu_times()
        .and_then(|reader| reader.reading(cpu, counters));
    let (task, tid, since_ns) = match reading {
        Some(reading) => (reading.task, reading.tid, reading.since_ns()),
        None => (counters.task, counters.tid, Some(counters.since_ns)),
    };
    if tid == 0 {
        return since_ns.map_or(CurrentTask::Unknown, |since_ns| CurrentTask::Idle {
            since_ns,
        });
    }
    let slot = match reading {
        Some(reading) => Some(reading.slot),
        None => programs.threads.slot_of(task),
    };
    let record = slot.and_then(|slot| Some((slot, programs.threads.read(slot)?)));
    match record {
        Some((slot, record)) if record.task == task => {
            CurrentTask::Thread(CurrentThread::new(slot, record, since_ns, reading))
        }
        _ => CurrentTask::Unknown,
    }
}
