use std::time::{Instant, SystemTime};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, Queue, RingBuf},
};
use collector_ebpf::{Cpu, CpuCounters, TOUCHED_PAGE, Thread};

use super::{
    accounts::{Accounts, Running},
    cpu_reader::CpuReader,
    debug_log::DebugLog,
    known::Known,
    loader::Loaded,
    mapped::MappedArray,
    missed_runs::MissedRuns,
    online::OnlineCpus,
    preemptions::Preemptions,
};
use crate::{
    metric::{CpuTimes, ProcessEvent, ProcessStats},
    source::{Tick, cgroup::Hierarchies},
};

mod cpus;
mod drain;
mod latency;
mod look_up;
mod losses;
mod pass;
mod slices;

use cpus::Told;
pub(super) use look_up::LookUps;
use slices::Holder;

/// How many zombies are looked at in one look: a microsecond each.
const ZOMBIES_A_LOOK: usize = 1_024;

/// Processes and CPUs at one time, so that the sums of both agree.
#[derive(Clone, Debug)]
pub struct Look {
    /// Every process.
    pub processes: ProcessStats,
    /// What the programs know of each CPU that has switched tasks. The fields
    /// that only `/proc/stat` has are empty.
    pub cpus: Vec<CpuTimes>,
}

/// The maps, and what was made of them.
pub(super) struct State {
    ebpf: Ebpf,
    cpus: MappedArray<Cpu>,
    online: OnlineCpus,
    threads: MappedArray<Thread>,
    touched: MappedArray<[u8; TOUCHED_PAGE]>,
    thread_of: HashMap<MapData, u64, u32>,
    free: Queue<MapData, u32>,
    events: RingBuf<MapData>,
    preemptions: Preemptions,
    accounts: Accounts,
    /// What began before this, since boot, may have used something unseen.
    loaded_at_ns: u64,
    /// What had been lost by the last pass.
    places_lost: u64,
    missed_execs: Option<MissedRuns>,
    missed_moves: Option<MissedRuns>,
    /// How many processes had their first record with a CPU and were there
    /// before the programs.
    begun_before: u64,
    /// When the last pass over all tasks was that came after its interval.
    last_regular_pass: Option<Instant>,
    /// Whether the last pass found what it was made for.
    is_pass_of_use: bool,
    unknown_tasks: u64,
    /// How many accounts and rows had been dropped by the last regular pass.
    dropped: u64,
    /// Lost events of which subscribers have been told.
    lost_told: u64,
    /// How many threads without a record were told of last, and when.
    dropped_threads_told: Option<(u64, Instant)>,
    /// How often what changed was read.
    drains: u32,
    /// What the last drain found: to be read once more by the next.
    recent: Vec<u32>,
    to_read: Vec<u32>,
    freed: Vec<u32>,
    running: Vec<Running>,
    debug_log: Option<DebugLog>,
    cpu_reader: Option<CpuReader>,
    /// What was told of each CPU last.
    told: Vec<Told>,
}

impl State {
    pub(super) fn new(loaded: Loaded) -> Self {
        let Loaded {
            ebpf,
            cpus,
            threads,
            touched,
            thread_of,
            free,
            events,
            preemptions,
            known,
            debug_log,
            cpu_reader,
            loaded_at_ns,
            report: _,
        } = loaded;
        let page_size = rustix::param::page_size() as u64;
        Self {
            accounts: Accounts::new(threads.len(), known, page_size, Hierarchies::of_this_host()),
            told: vec![Told::default(); cpus.len() as usize],
            online: OnlineCpus::new(cpus.len()),
            missed_execs: MissedRuns::of(&ebpf, "sched_process_exec"),
            missed_moves: MissedRuns::of(&ebpf, "cgroup_attach_task"),
            ebpf,
            cpus,
            threads,
            touched,
            thread_of,
            free,
            events,
            preemptions,
            loaded_at_ns,
            places_lost: 0,
            begun_before: 0,
            last_regular_pass: None,
            is_pass_of_use: true,
            unknown_tasks: 0,
            dropped: 0,
            lost_told: 0,
            dropped_threads_told: None,
            drains: 0,
            recent: Vec::new(),
            to_read: Vec::new(),
            freed: Vec::new(),
            running: Vec::new(),
            debug_log,
            cpu_reader,
        }
    }

    /// Processes and CPUs at one time, and the events that were found on the
    /// way.
    pub(super) fn look(
        &mut self,
        now_ns: u64,
        wall: SystemTime,
        tick: &Tick,
    ) -> (Look, Vec<ProcessEvent>) {
        // First who is running, with what each had used before it got its CPU;
        // then all that changed. So a thread that leaves its CPU in between is
        // found by its record, and its time in flight is left out.
        let mut slices = self.slices(now_ns, tick);
        self.running.clear();
        for slice in &slices {
            if let Holder::Thread(thread) = &slice.holder {
                self.charge(thread, now_ns);
            }
        }
        let events = self.drain(now_ns, wall);
        self.settle_slices(&mut slices);
        let cpus = self.rows(&slices, now_ns);
        self.accounts
            .reap(ZOMBIES_A_LOOK, drain::is_in_process_table);
        let processes = self.accounts.reading(now_ns, &self.running);
        (Look { processes, cpus }, events)
    }

    fn known(&self) -> &Known {
        self.accounts.known()
    }

    fn sum(&self, field: impl Fn(&CpuCounters) -> u64) -> u64 {
        (0..self.cpus.len())
            .filter_map(|index| self.cpus.counters(index))
            .map(|cpu| field(&cpu))
            .sum()
    }
}
