use std::{
    collections::{BTreeMap, HashSet},
    hint::black_box,
    time::SystemTime,
};

use collector_ebpf::CpuCounters;
use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
    time::{ClockId, clock_gettime},
};

use super::{
    ProcessesAndCpus,
    cpu_slices::{CpuSlices, discard_charged, read_slice},
    latency,
    losses::Losses,
    task_passes::{Pass, TaskPasses},
};
use crate::{
    accounting::{
        Accounts, CgroupPair, ClockReading, CpuSlice, CurrentTask, DetailsRequest, LifecycleEvent,
        Preemptions, ProcDetails, ProcessKey, RunningThread, cgroup::Cgroups,
    },
    allocator,
    metric::{CpuStats, CpuTimes, Preemption, ProcessEvent, SchedLatency},
    source::{
        CgroupMounts, Tick,
        bpf::{CpuTimesReader, CpuTimesUnused, IterError, Loaded, Programs},
    },
};

/// The most zombies that are checked at one reading: a microsecond each.
const ZOMBIES_PER_READING: usize = 1_024;

/// The most zombies that are checked at one drain, so that they do not
/// accumulate while no reading is taken.
const ZOMBIES_PER_DRAIN: usize = 16;

/// The slots whose records and accounts are loaded into the CPU caches at once:
/// so many fit.
const PREFETCHED_SLOTS: usize = 64;

/// Feeds what the programs write to the accounts.
pub(super) struct KernelAccounting {
    programs: Programs,
    accounts: Accounts,
    slices: CpuSlices,
    passes: TaskPasses,
    losses: Losses,
    preemptions: Preemptions,
    buffers: Buffers,
}

/// Memory that is reused by each drain and each reading.
#[derive(Default)]
struct Buffers {
    /// Slots of the records that are to be read.
    slots: Vec<u32>,
    /// Slots that are to be freed.
    freed: Vec<u32>,
    running: Vec<RunningThread>,
}

impl KernelAccounting {
    pub(super) fn new(loaded: Loaded) -> Self {
        let Loaded {
            programs,
            available,
            loaded_at_ns,
            report: _,
        } = loaded;
        let page_size = rustix::param::page_size() as u64;
        let cgroups = Cgroups::new(CgroupMounts::of_this_host());
        Self {
            accounts: Accounts::new(programs.threads.len(), available, page_size, cgroups),
            slices: CpuSlices::new(programs.cpus.len()),
            passes: TaskPasses::new(loaded_at_ns),
            losses: Losses::default(),
            preemptions: Preemptions::default(),
            buffers: Buffers::default(),
            programs,
        }
    }

    /// All processes and CPUs as of one time, and the events that were found on
    /// the way.
    pub(super) fn processes_and_cpus(
        &mut self,
        now_ns: u64,
        wall: SystemTime,
        tick: &Tick,
    ) -> (ProcessesAndCpus, Vec<ProcessEvent>) {
        // The current tasks are read first, with the CPU time that each had
        // before its slice, and then the changed records. So the record of a
        // thread that is switched out in between has changed, and its time in
        // flight is discarded.
        let mut slices = self.slices.read(&self.programs, now_ns, tick);
        let mut running = std::mem::take(&mut self.buffers.running);
        running.clear();
        for slice in &slices {
            if let CurrentTask::Thread(thread) = &slice.current {
                let (charged, rest) = thread.charged(now_ns);
                self.accounts.update(thread.slot, &charged);
                running.push(rest);
            }
        }
        let events = self.drain(now_ns, wall);
        discard_charged(
            &mut slices,
            &mut running,
            |cpu| self.programs.cpus.counters(cpu),
            &self.accounts,
        );
        let cpus = self
            .slices
            .times(&slices, now_ns, self.accounts.available());
        self.accounts.reap(ZOMBIES_PER_READING, is_in_process_table);
        let processes = self.accounts.reading(now_ns, &running);
        self.buffers.running = running;
        (ProcessesAndCpus { processes, cpus }, events)
    }

    /// The times of each CPU that the programs measure.
    pub(super) fn cpu_times(&mut self, now_ns: u64, tick: &Tick) -> Vec<CpuTimes> {
        let mut slices: Vec<CpuSlice> = self.slices.read(&self.programs, now_ns, tick);
        discard_charged(
            &mut slices,
            &mut Vec::new(),
            |cpu| self.programs.cpus.counters(cpu),
            &self.accounts,
        );
        self.slices
            .times(&slices, now_ns, self.accounts.available())
    }

    /// Reads the events, and the thread records that changed, since the last
    /// drain.
    pub(super) fn drain(&mut self, now_ns: u64, wall: SystemTime) -> Vec<ProcessEvent> {
        self.programs.flush_debug_log();
        let slots = &mut self.buffers.slots;
        slots.clear();
        // The events come first: the final counters of a thread are in its
        // record before its event is in the ring buffer.
        let mut events = Vec::new();
        let mut is_any_moved = false;
        while let Some(event) = self.programs.events.next() {
            match &event {
                LifecycleEvent::ThreadEnd(end) => slots.push(end.slot),
                LifecycleEvent::CgroupMove(_) => is_any_moved = true,
                LifecycleEvent::Fork(_) | LifecycleEvent::Exec(_) => {}
            }
            events.push(event);
        }
        self.programs
            .threads
            .drain_dirty(&self.programs.cpus, slots);
        self.accounts.take_waiting(slots);
        slots.sort_unstable();
        slots.dedup();
        for batch in slots.chunks(PREFETCHED_SLOTS) {
            for &slot in batch {
                black_box(self.programs.threads.read(slot));
            }
            self.accounts.prefetch(batch);
            for &slot in batch {
                if let Some(record) = self.programs.threads.read(slot) {
                    self.accounts.update(slot, &record);
                }
            }
        }
        let running = if is_any_moved {
            running_threads(&self.programs)
        } else {
            Vec::new()
        };
        let ends_dropped = sum(&self.programs, |cpu| cpu.ends_dropped);
        let clock = ClockReading {
            monotonic_ns: now_ns,
            wall,
            suspended_ns: suspended_ns(),
        };
        let events = self.accounts.process_events(
            events,
            &running,
            ends_dropped,
            &clock,
            &mut self.buffers.freed,
        );
        self.free_slots();
        self.accounts.reap(ZOMBIES_PER_DRAIN, is_in_process_table);
        events
    }

    /// Frees the slots of exited threads.
    fn free_slots(&mut self) {
        for slot in self.buffers.freed.drain(..) {
            if let Err(error) = self.programs.threads.free(slot) {
                tracing::error!(%error, "a thread record cannot be freed, and is lost until the agent restarts");
            }
        }
    }

    /// Visits all tasks if that is due: at an interval, or because a task
    /// without a record was seen.
    pub(super) fn pass_if_due(&mut self, now: SystemTime) -> Result<Vec<ProcessEvent>, IterError> {
        let untracked = sum(&self.programs, |cpu| cpu.untracked_tasks);
        if self.passes.is_due(self.accounts.needs_pass(), untracked) {
            self.pass(now)
        } else {
            Ok(Vec::new())
        }
    }

    /// Visits all tasks.
    pub(super) fn pass(&mut self, now: SystemTime) -> Result<Vec<ProcessEvent>, IterError> {
        let pass = self.passes.begin();
        if self.losses.are_new_moves_lost(&mut self.programs) {
            self.accounts.set_moves_missed();
        }
        let unidentified = self.accounts.unidentified();
        let found = self.visit_tasks(&pass)?;
        if pass.is_first {
            self.losses
                .set_first_pass(sum(&self.programs, |cpu| cpu.forks_unseen));
        }
        let mut unlinked = Vec::new();
        let events = self
            .accounts
            .end_pass(now, &mut self.buffers.freed, &mut unlinked);
        for slot in unlinked {
            self.programs.threads.unlink(slot);
        }
        if pass.is_regular {
            let preemptions = &mut self.programs.preemptions;
            let counts = preemptions.pairs();
            self.preemptions
                .sweep(counts, self.accounts.cgroups(), |pair| {
                    preemptions.remove(pair)
                });
            if self.passes.is_memory_worth_trimming(&self.accounts) {
                allocator::trim();
            }
        }
        self.free_slots();
        self.losses.warn_of_dropped_threads(&self.programs);
        let has_identified = self.accounts.unidentified() < unidentified;
        self.passes.end(found > 0 || has_identified);
        Ok(events)
    }

    /// Returns the number of tasks that were assigned a record.
    fn visit_tasks(&mut self, pass: &Pass) -> Result<u32, IterError> {
        let Self {
            programs, accounts, ..
        } = self;
        let mut found = 0;
        accounts.begin_pass(pass.is_regular);
        programs.visit_tasks(|entry, threads| {
            if entry.is_new != 0 && !pass.is_first {
                accounts.insert_late(entry);
            }
            if let Some(record) = threads.read(entry.slot) {
                accounts.update(entry.slot, &record);
            }
            found += entry.is_new;
            accounts.visit(entry, pass.adds_exited_threads(entry));
        })?;
        Ok(found)
    }

    /// Requests for what has to be read from `/proc`. `done` are the processes
    /// requested earlier in this tick.
    pub(super) fn take_requests(&mut self, done: &mut HashSet<ProcessKey>) -> Vec<DetailsRequest> {
        self.accounts.take_requests(done)
    }

    /// Applies what was read from `/proc`.
    pub(super) fn apply_details(&mut self, details: Vec<(ProcessKey, ProcDetails)>) {
        for (process, details) in details {
            self.accounts.apply_details(process, details);
        }
    }

    /// The histograms of all CPUs, and the preemptions between cgroups.
    pub(super) fn sched_latency(&self) -> SchedLatency {
        let mut reading = latency::histograms(&self.programs.cpus, self.accounts.available());
        reading.preemptions = self.preemptions();
        reading
    }

    /// The preemptions, if cgroup v2 IDs distinguish cgroups on this host.
    fn preemptions(&self) -> Option<Vec<Preemption>> {
        let cgroups = self.accounts.cgroups();
        (self.accounts.available().cgroups && cgroups.has_distinct_ids()).then(|| {
            let counts: BTreeMap<CgroupPair, u64> = self.programs.preemptions.pairs();
            let others = self.programs.preemptions.others();
            self.preemptions.rows(&counts, others, cgroups)
        })
    }

    /// Compares the times of the CPUs with `/proc/stat`. They are not used if
    /// they differ.
    ///
    /// # Errors
    ///
    /// How they differ, and what would help.
    pub(super) fn check_cpu_times(&mut self) -> Result<(), CpuTimesUnused> {
        self.programs.check_cpu_times()
    }

    /// Reads the kernel's accounting of the CPUs, if it is used.
    pub(super) fn read_cpu_times(&mut self) {
        self.programs.read_cpu_times();
    }

    /// What `/proc/stat` would show, as of the last read; `None` if it is to be
    /// read instead.
    pub(super) fn cpu_stats(&self) -> Option<CpuStats> {
        self.programs.cpu_times()?.cpu_stats()
    }

    /// Whether [`cpu_stats`](Self::cpu_stats) is not `None`.
    pub(super) fn has_cpu_stats(&self) -> bool {
        self.programs
            .cpu_times()
            .is_some_and(CpuTimesReader::has_stats)
    }

    /// The number of events that were lost since the last call.
    pub(super) fn take_lost(&mut self) -> u64 {
        let available = *self.accounts.available();
        self.losses.take_lost(&mut self.programs, &available)
    }

    pub(super) fn events_lost(&mut self) -> u64 {
        let available = *self.accounts.available();
        self.losses.events_lost(&mut self.programs, &available)
    }

    pub(super) fn events_missed(&mut self) -> u64 {
        let available = *self.accounts.available();
        self.losses.events_missed(&mut self.programs, &available)
    }

    pub(super) fn events_dropped(&self) -> u64 {
        sum(&self.programs, |cpu| cpu.events_dropped)
    }

    pub(super) fn threads_dropped(&self) -> u64 {
        sum(&self.programs, |cpu| cpu.threads_dropped)
    }

    pub(super) const fn ends_without_event(&self) -> u64 {
        self.accounts.ends_without_event()
    }
}

/// The sum of a counter over all CPUs.
pub(super) fn sum(programs: &Programs, counter: impl Fn(&CpuCounters) -> u64) -> u64 {
    let cpus = programs.cpus.all_counters();
    cpus.map(|cpu| counter(&cpu)).sum()
}

/// The threads that are on a CPU.
///
/// The last thread of an offline CPU may be among them: its stopper thread,
/// which is bound to the CPU, so that it cannot be moved between cgroups
/// (`cgroup_procs_write_start` of `kernel/cgroup/cgroup.c`).
fn running_threads(programs: &Programs) -> Vec<RunningThread> {
    let cpus = 0..programs.cpus.len();
    let running = cpus.filter_map(|cpu| {
        let CurrentTask::Thread(thread) = read_slice(programs, cpu)?.current else {
            return None;
        };
        Some(RunningThread {
            slot: thread.slot,
            since_ns: thread.since_ns?,
            cpu_ns: thread.record.cpu_ns,
        })
    });
    running.collect()
}

/// Whether a process with this PID is in the process table of the kernel, where
/// it stays until it is reaped.
///
/// No tracepoint fires when it is reaped: `sched_process_free` fires when the
/// memory of the task is freed, some milliseconds or, with `CONFIG_RCU_LAZY`,
/// seconds later. A pidfd of a zombie can be opened too, and needs no rights.
fn is_in_process_table(pid: u32) -> bool {
    let Some(pid) = Pid::from_raw(pid.cast_signed()) else {
        return false;
    };
    // A thread may have the ID by now: EINVAL, or since 6.14 ENOENT.
    !matches!(
        pidfd_open(pid, PidfdFlags::empty()),
        Err(Errno::SRCH | Errno::INVAL | Errno::NOENT)
    )
}

/// The time that the host was suspended since it booted.
fn suspended_ns() -> u64 {
    let now = |clock| {
        let now = clock_gettime(clock);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    };
    // In this order it is never too large, which would be an exit in the future.
    let boottime = now(ClockId::Boottime);
    boottime.saturating_sub(now(ClockId::Monotonic))
}
