//! Who has each CPU, and for how long: what is in flight.

use std::sync::atomic::{Ordering, fence};

use collector_ebpf::{CpuCounters, CpuReading, Thread};

use super::{
    super::{
        account::Sleep,
        accounts::Running,
        scheduler_clock::{behind_ns, uncharged_ns},
    },
    State,
};
use crate::source::Tick;

/// What a CPU did, and who has it now.
pub(super) struct Slice {
    pub(super) cpu: u32,
    pub(super) counters: CpuCounters,
    pub(super) holder: Holder,
}

/// Who has a CPU.
#[expect(
    clippy::large_enum_variant,
    reason = "most are threads, and there is one a CPU"
)]
pub(super) enum Holder {
    /// Nobody, since then.
    Idle {
        /// By the programs' clock.
        since_ns: u64,
    },
    /// A thread that has a record.
    Thread(Current),
    /// A task without a record, or it is not known who or since when.
    Unknown,
}

/// A thread that has a CPU.
pub(super) struct Current {
    pub(super) index: u32,
    /// Its record, from when it left a CPU last.
    pub(super) record: Thread,
    /// Since when it has the CPU, unless its switch was not seen.
    pub(super) since_ns: Option<u64>,
    /// What it has used of it that is not in its record.
    pub(super) in_flight_ns: u64,
    /// What the kernel knew of it when the CPUs were read.
    reading: Option<CpuReading>,
}

impl State {
    /// What each CPU does.
    pub(super) fn slices(&mut self, now_ns: u64, tick: &Tick) -> Vec<Slice> {
        match &self.cpu_reader {
            Some(reader) => self.online.set(reader.online()),
            None => self.online.read(tick),
        }
        let mut slices: Vec<Slice> = (0..self.cpus.len())
            .filter_map(|cpu| self.slice(cpu))
            .collect();
        for slice in &mut slices {
            if !self.online.is_current(slice.cpu, slice.counters.since_ns) {
                slice.holder = Holder::Unknown;
            }
        }
        let behind_ns = behind_ns(slices.iter().map(|slice| slice.counters));
        for slice in &mut slices {
            if let Holder::Thread(thread) = &mut slice.holder {
                thread.in_flight_ns = match &thread.reading {
                    Some(reading) => {
                        let before_ns = thread.record.cpu_ns;
                        let charged = reading.cpu_ns.saturating_sub(before_ns);
                        charged.saturating_add(uncharged_ns(reading, before_ns, behind_ns))
                    }
                    None => thread
                        .since_ns
                        .map_or(0, |since_ns| now_ns.saturating_sub(since_ns)),
                };
            }
        }
        slices
    }

    /// Takes back what is in flight of threads that have been charged already.
    ///
    /// A CPU notes its next task before it charges the one that leaves, but
    /// only the compiler keeps to that order: on arm64 another CPU may see the
    /// charge first, and a slice would be told twice, for good, as totals never
    /// shrink. By now, some microseconds later, it sees both: so if the CPU has
    /// another task, and the record of the one that it had has not changed since
    /// it was first read, that was from after the charge.
    pub(super) fn settle_slices(&mut self, slices: &mut [Slice]) {
        fence(Ordering::SeqCst);
        for slice in slices {
            let Holder::Thread(thread) = &slice.holder else {
                continue;
            };
            let Some(again) = self.cpus.counters(slice.cpu) else {
                continue;
            };
            if again.since_ns == slice.counters.since_ns && again.task == slice.counters.task {
                continue;
            }
            let index = thread.index;
            let running = self.running.iter().position(|of| of.thread == index);
            if let Some(at) = running {
                if self.accounts.cpu_ns_of(index) != self.running.get(at).map(|of| of.cpu_ns) {
                    continue;
                }
                self.running.swap_remove(at);
            }
            slice.counters = again;
            slice.holder = Holder::Unknown;
        }
    }

    /// Charges a process with what one of its threads has used of the CPU
    /// that it has.
    pub(super) fn charge(&mut self, current: &Current, now_ns: u64) {
        let record = &current.record;
        let mut thread = *record;
        if let Some(reading) = &current.reading {
            thread.cpu_ns = thread.cpu_ns.max(reading.cpu_ns);
            thread.user_ns = thread.user_ns.max(reading.user_ns);
            thread.system_ns = thread.system_ns.max(reading.system_ns);
            thread.runqueue_ns = thread.runqueue_ns.max(reading.runqueue_ns);
            thread.minor_faults = thread.minor_faults.max(reading.minor_faults);
            thread.major_faults = thread.major_faults.max(reading.major_faults);
        }
        if let (Some(since_ns), Some(_), Some(sleep)) =
            (current.since_ns, &current.reading, Sleep::of(record))
        {
            // As the program will when the thread leaves its CPU.
            let off_ns = since_ns.saturating_sub(sleep.since_ns);
            let waited_ns = thread.runqueue_ns.saturating_sub(record.runqueue_ns);
            let slept_ns = off_ns.saturating_sub(waited_ns);
            if sleep.is_uninterruptible {
                thread.uninterruptible_ns += slept_ns;
            } else {
                thread.interruptible_ns += slept_ns;
            }
        }
        self.accounts.update(current.index, &thread);
        let charged = thread.cpu_ns.saturating_sub(record.cpu_ns);
        let uncharged = current.in_flight_ns.saturating_sub(charged);
        self.running.push(Running {
            thread: current.index,
            since_ns: now_ns.saturating_sub(uncharged),
            cpu_ns: thread.cpu_ns,
        });
    }

    /// What a CPU did and who has it, both from before the same switch; of a
    /// CPU that is offline, who had it last.
    pub(super) fn slice(&self, cpu: u32) -> Option<Slice> {
        let mut slice = Slice {
            cpu,
            counters: self.cpus.counters(cpu)?,
            holder: Holder::Unknown,
        };
        // A switch in between shows in the second look; many in a row would
        // only make one CPU's time in flight a little wrong.
        for _ in 0..8 {
            fence(Ordering::Acquire);
            let holder = self.holder(cpu, &slice.counters);
            fence(Ordering::Acquire);
            let again = self.cpus.counters(cpu)?;
            if again.since_ns == slice.counters.since_ns && again.task == slice.counters.task {
                slice.holder = holder;
                break;
            }
            slice.counters = again;
        }
        Some(slice)
    }

    /// Who has a CPU that has noted this.
    ///
    /// The programs look for the record of a thread when it leaves only. If
    /// the CPU has switched nothing since they read it, they have told; else
    /// it takes a system call. What they found is who has the CPU, even where
    /// it has noted another.
    fn holder(&self, cpu: u32, noted: &CpuCounters) -> Holder {
        let reader = self.cpu_reader.as_ref();
        let reading = reader
            .and_then(|reader| reader.reading(cpu, noted))
            .copied();
        let (task, tid, since_ns) = match &reading {
            Some(reading) => (reading.task, reading.tid, reading.since_ns()),
            None => (noted.task, noted.tid, Some(noted.since_ns)),
        };
        if tid == 0 {
            return since_ns.map_or(Holder::Unknown, |since_ns| Holder::Idle { since_ns });
        }
        let index = match &reading {
            Some(reading) => Some(reading.thread),
            None => self.thread_of.get(&task, 0).ok(),
        };
        let found = index.and_then(|index| Some((index, self.threads.read(index)?)));
        match found {
            Some((index, record)) if record.task == task => Holder::Thread(Current {
                index,
                record,
                since_ns,
                in_flight_ns: 0,
                reading,
            }),
            _ => Holder::Unknown,
        }
    }
}
