//! Who has each CPU, and for how long: what is in flight.

use collector_ebpf::{CpuCounters, CpuReading, Thread};

use super::{
    super::{
        accounts::Running,
        scheduler_clock::{SchedulerClock, uncharged_ns},
    },
    State,
};

/// What a CPU did, and what its current thread has used of it.
pub(super) struct Slice {
    pub(super) cpu: u32,
    pub(super) counters: CpuCounters,
    /// The record of the thread that has the CPU, from when it got it, and
    /// what the kernel knew of it when the CPUs were read.
    pub(super) thread: Option<(Thread, Option<CpuReading>)>,
    /// What is not in the counters of the CPU yet.
    pub(super) in_flight_ns: u64,
}

impl State {
    /// What each CPU does.
    pub(super) fn slices(&mut self, now_ns: u64) -> Vec<Slice> {
        let is_told = match &self.cpu_reader {
            Some(reader) => self.online.take(reader.online()),
            None => false,
        };
        if !is_told {
            self.online.read();
        }
        let mut slices: Vec<Slice> = (0..self.cpus.len())
            .filter_map(|cpu| {
                let (counters, record) = self.running(cpu)?;
                let reader = self.cpu_reader.as_ref();
                Some(Slice {
                    cpu,
                    thread: record.map(|record| {
                        let current = reader.and_then(|reader| reader.current(cpu, &counters));
                        (record, current)
                    }),
                    in_flight_ns: now_ns.saturating_sub(counters.since_ns),
                    counters,
                })
            })
            .collect();
        let seen = slices.iter().filter_map(|slice| match &slice.thread {
            Some((record, Some(current))) => SchedulerClock::of_slice(current, record.cpu_ns),
            _ => None,
        });
        self.clock = seen.reduce(SchedulerClock::nearer).or(self.clock);
        for slice in &mut slices {
            if let Some((record, Some(current))) = &slice.thread {
                let charged = current.cpu_ns.saturating_sub(record.cpu_ns);
                let uncharged = uncharged_ns(current, record.cpu_ns, self.clock);
                slice.in_flight_ns = charged.saturating_add(uncharged);
            }
        }
        slices
    }

    /// Charges a process with what one of its threads has used of the CPU
    /// that it has.
    pub(super) fn charge(
        &mut self,
        slice: &Slice,
        record: &Thread,
        current: Option<&CpuReading>,
        now_ns: u64,
    ) {
        let mut thread = *record;
        if let Some(current) = current {
            thread.cpu_ns = thread.cpu_ns.max(current.cpu_ns);
            thread.user_ns = thread.user_ns.max(current.user_ns);
            thread.system_ns = thread.system_ns.max(current.system_ns);
            thread.runqueue_ns = thread.runqueue_ns.max(current.runqueue_ns);
            thread.minor_faults = thread.minor_faults.max(current.minor_faults);
            thread.major_faults = thread.major_faults.max(current.major_faults);
        }
        self.accounts.update(slice.counters.thread, &thread);
        let charged = thread.cpu_ns.saturating_sub(record.cpu_ns);
        let uncharged = slice.in_flight_ns.saturating_sub(charged);
        self.running.push(Running {
            thread: slice.counters.thread,
            since_ns: now_ns.saturating_sub(uncharged),
            cpu_ns: thread.cpu_ns,
        });
    }

    /// What a CPU did, with the record of the thread that has it. One that does
    /// not tell of its switches has had nobody for any time.
    pub(super) fn running(&mut self, index: u32) -> Option<(CpuCounters, Option<Thread>)> {
        let (mut cpu, thread) = self.noted(index)?;
        if self.online.is_current(index, cpu.since_ns) {
            return Some((cpu, thread));
        }
        cpu.since_ns = u64::MAX;
        Some((cpu, None))
    }

    /// What a CPU has noted, with the record of the thread that has it, both
    /// from before the same switch.
    fn noted(&self, index: u32) -> Option<(CpuCounters, Option<Thread>)> {
        let mut cpu = self.cpus.counters(index)?;
        // A switch in between shows in the second look; many in a row would
        // only make one CPU's time in flight a little wrong.
        for _ in 0..8 {
            let thread = self.threads.read(cpu.thread);
            let again = self.cpus.counters(index)?;
            if again.since_ns == cpu.since_ns && again.thread == cpu.thread {
                return Some((cpu, thread));
            }
            cpu = again;
        }
        Some((cpu, None))
    }
}
