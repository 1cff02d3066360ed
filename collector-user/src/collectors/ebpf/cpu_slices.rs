use std::sync::atomic::{Ordering, fence};

use collector_ebpf::CpuCounters;

use super::online::OnlineCpus;
use crate::{
    accounting::{
        Accounts, AvailableFields, CpuSlice, CurrentTask, CurrentThread, RunningThread,
        clock_offset_ns,
    },
    metric::CpuTimes,
    source::{Tick, bpf::Programs},
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
///
/// `counters_now` reads the counters and the current task of a CPU.
pub(super) fn discard_charged(
    slices: &mut [CpuSlice],
    running: &mut Vec<RunningThread>,
    counters_now: impl Fn(u32) -> Option<CpuCounters>,
    accounts: &Accounts,
) {
    fence(Ordering::SeqCst);
    for slice in slices {
        let CurrentTask::Thread(thread) = &slice.current else {
            continue;
        };
        let Some(again) = counters_now(slice.cpu) else {
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

#[cfg(test)]
mod tests {
    use collector_ebpf::{THREAD_LIVE, Thread};

    use super::*;
    use crate::{accounting::cgroup::Cgroups, source::CgroupMounts};

    const SLOT: u32 = 3;

    /// The record of a thread with this CPU time.
    fn record(cpu_ns: u64) -> Thread {
        Thread {
            task: 77,
            tid: 10,
            tgid: 10,
            process_start_ns: 5,
            state: THREAD_LIVE,
            cpu_ns,
            ..Thread::default()
        }
    }

    /// The thread has been on CPU 1 since 600, and its record was read with this
    /// CPU time.
    fn slice(cpu_ns: u64) -> CpuSlice {
        let mut slice = CpuSlice {
            cpu: 1,
            counters: CpuCounters {
                task: 77,
                tid: 10,
                since_ns: 600,
                ..CpuCounters::default()
            },
            current: CurrentTask::Thread(CurrentThread::new(SLOT, record(cpu_ns), Some(600), None)),
        };
        slice.set_time_in_flight(1_000, None);
        slice
    }

    /// The CPU time of the process at 1,000. The record was read with `first_ns`
    /// and then with `then_ns`, and now the CPU has these counters.
    fn cpu_ns(first_ns: u64, then_ns: u64, now: CpuCounters) -> (Option<u64>, bool) {
        let cgroups = Cgroups::new(CgroupMounts::without_mounts(false));
        let mut accounts = Accounts::new(8, AvailableFields::ALL, 4096, cgroups);
        let mut slices = [slice(first_ns)];
        let CurrentTask::Thread(thread) = &slices[0].current else {
            unreachable!("it is a thread");
        };
        let (charged, rest) = thread.charged(1_000);
        accounts.update(SLOT, &charged);
        let mut running = vec![rest];
        accounts.update(SLOT, &record(then_ns));
        discard_charged(&mut slices, &mut running, |_cpu| Some(now), &accounts);
        let has_slice = matches!(slices[0].current, CurrentTask::Thread(_));
        let reading = accounts.reading(1_000, &running);
        (reading.processes.at(0).cpu_ns, has_slice)
    }

    #[test]
    fn a_slice_whose_charge_was_seen_before_the_switch_counts_once() {
        let same = slice(0).counters;
        let next = CpuCounters {
            task: 88,
            tid: 11,
            since_ns: 1_000,
            busy_ns: 400,
            ..same
        };
        // No switch: 400 ns are in flight.
        assert_eq!(cpu_ns(100, 100, same), (Some(500), true));
        // It was charged before its record was read first.
        assert_eq!(cpu_ns(500, 500, next), (Some(500), false));
        // It was charged after that.
        assert_eq!(cpu_ns(100, 500, next), (Some(500), true));
    }
}
