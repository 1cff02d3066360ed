//! Who has each CPU, and for how long: what is in flight.

use collector_ebpf::{CpuCounters, CpuReading, Thread};

use super::{
    super::{
        accounts::Running,
        scheduler_clock::{behind_ns, uncharged_ns},
    },
    State,
};

/// What a CPU did, and what its current thread has used of it.
pub(super) struct Slice {
    pub(super) cpu: u32,
    pub(super) counters: CpuCounters,
    /// The thread that has the CPU, if it has a record.
    pub(super) thread: Option<Current>,
    /// What is not in the counters of the CPU yet.
    pub(super) in_flight_ns: u64,
}

/// A thread that has a CPU.
pub(super) struct Current {
    pub(super) index: u32,
    /// Its record, from when it left a CPU last.
    pub(super) record: Thread,
    /// What the kernel knew of it when the CPUs were read.
    reading: Option<CpuReading>,
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
                let (counters, thread) = self.running(cpu)?;
                Some(Slice {
                    cpu,
                    thread,
                    in_flight_ns: now_ns.saturating_sub(counters.since_ns),
                    counters,
                })
            })
            .collect();
        let behind_ns = behind_ns(slices.iter().map(|slice| slice.counters));
        for slice in &mut slices {
            if let Some(thread) = &slice.thread
                && let Some(reading) = &thread.reading
            {
                let before_ns = thread.record.cpu_ns;
                let charged = reading.cpu_ns.saturating_sub(before_ns);
                let uncharged = uncharged_ns(reading, before_ns, behind_ns);
                slice.in_flight_ns = charged.saturating_add(uncharged);
            }
        }
        slices
    }

    /// Charges a process with what one of its threads has used of the CPU
    /// that it has.
    pub(super) fn charge(&mut self, in_flight_ns: u64, current: &Current, now_ns: u64) {
        let Current {
            index,
            record,
            reading,
        } = current;
        let mut thread = *record;
        if let Some(reading) = reading {
            thread.cpu_ns = thread.cpu_ns.max(reading.cpu_ns);
            thread.user_ns = thread.user_ns.max(reading.user_ns);
            thread.system_ns = thread.system_ns.max(reading.system_ns);
            thread.runqueue_ns = thread.runqueue_ns.max(reading.runqueue_ns);
            thread.minor_faults = thread.minor_faults.max(reading.minor_faults);
            thread.major_faults = thread.major_faults.max(reading.major_faults);
        }
        self.accounts.update(*index, &thread);
        let charged = thread.cpu_ns.saturating_sub(record.cpu_ns);
        let uncharged = in_flight_ns.saturating_sub(charged);
        self.running.push(Running {
            thread: *index,
            since_ns: now_ns.saturating_sub(uncharged),
            cpu_ns: thread.cpu_ns,
        });
    }

    /// What a CPU did, with the thread that has it. One that does not tell of
    /// its switches has had nobody for any time.
    pub(super) fn running(&mut self, cpu: u32) -> Option<(CpuCounters, Option<Current>)> {
        let (mut noted, thread) = self.noted(cpu)?;
        if self.online.is_current(cpu, noted.since_ns) {
            return Some((noted, thread));
        }
        noted.since_ns = u64::MAX;
        Some((noted, None))
    }

    /// What a CPU has noted, with the thread that has it, both from before the
    /// same switch.
    fn noted(&self, cpu: u32) -> Option<(CpuCounters, Option<Current>)> {
        let mut noted = self.cpus.counters(cpu)?;
        // A switch in between shows in the second look; many in a row would
        // only make one CPU's time in flight a little wrong.
        for _ in 0..8 {
            let seen = noted;
            let thread = self.current(cpu, &mut noted);
            let again = self.cpus.counters(cpu)?;
            if again.since_ns == seen.since_ns && again.task == seen.task {
                return Some((noted, thread));
            }
            noted = again;
        }
        Some((noted, None))
    }

    /// The thread that has a CPU.
    ///
    /// The programs look for its record when the thread leaves only. If the
    /// CPU has switched nothing since they read it, they have told; else it
    /// takes a system call. What they found is who has the CPU, even where it
    /// has noted another: then it is not known since when.
    fn current(&self, cpu: u32, noted: &mut CpuCounters) -> Option<Current> {
        let reader = self.cpu_reader.as_ref();
        let reading = reader
            .and_then(|reader| reader.reading(cpu, noted))
            .copied();
        if let Some(reading) = &reading
            && reading.since_ns().is_none()
        {
            noted.task = reading.task;
            noted.tid = reading.tid;
            noted.since_ns = u64::MAX;
        }
        if noted.tid == 0 {
            return None;
        }
        let index = match &reading {
            Some(reading) => reading.thread,
            None => self.thread_of.get(&noted.task, 0).ok()?,
        };
        let record = self.threads.read(index)?;
        (record.task == noted.task).then_some(Current {
            index,
            record,
            reading,
        })
    }
}
