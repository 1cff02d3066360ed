use std::{
    io,
    time::{Duration, Instant, SystemTime},
};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, Queue, RingBuf},
};
use collector_ebpf::{
    BUCKETS, Cpu, CpuCounters, CpuReading, Histogram, Latency, TOUCHED_PAGE, Thread, bucket_bounds,
};

use super::{
    accounts::{Accounts, Clock, Details, LookUp, Running},
    cpu_reader::CpuReader,
    debug_log::DebugLog,
    event_record::EventRecord,
    heap,
    known::Known,
    loader::Loaded,
    mapped::MappedArray,
    online::OnlineCpus,
    preemptions::Preemptions,
    scheduler_clock::{SchedulerClock, uncharged_ns},
    task_iter,
};
use crate::{
    metric::{
        CpuLatency, CpuStats, CpuTimes, LatencyBucket, LatencyHistogram, Preemption, ProcessEvent,
        ProcessStats, SchedLatency,
    },
    source::{
        Tick,
        cgroup::Hierarchies,
        procfs::{CLOCK_TICKS_PER_SECOND, proc_pid},
    },
};

/// How often all tasks are gone through, for what the switch path does not
/// bring: memory, I/O, owners, names.
const PASS_INTERVAL: Duration = Duration::from_secs(10);

/// So many processes that end from one such pass to the next leave free memory
/// behind that is worth the while to give back.
const BURST: u64 = 1_000;

/// How many processes are looked up in `/proc` at one tick.
const LOOK_UPS_A_TICK: usize = 512;

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
    free: Queue<MapData, u32>,
    events: RingBuf<MapData>,
    preemptions: Preemptions,
    accounts: Accounts,
    /// How many events were lost by the last pass.
    events_lost: u64,
    /// When the last pass over all tasks was that came after its interval.
    last_regular_pass: Option<Instant>,
    /// Whether the last pass found what it was made for.
    is_pass_of_use: bool,
    unknown_tasks: u64,
    /// How many processes had ended by the last regular pass.
    exited: u64,
    /// Lost events of which subscribers have been told.
    lost_told: u64,
    /// What the last drain found: to be read once more by the next.
    recent: Vec<u32>,
    to_read: Vec<u32>,
    freed: Vec<u32>,
    running: Vec<Running>,
    debug_log: Option<DebugLog>,
    cpu_reader: Option<CpuReader>,
    clock: Option<SchedulerClock>,
    /// The busy time of each CPU that was told last: what is in flight is an
    /// estimate, and totals never shrink.
    told_busy_ns: Vec<u64>,
}

/// What a CPU did, and what its current thread has used of it.
struct Slice {
    cpu: u32,
    counters: CpuCounters,
    /// The record of the thread that has the CPU, from when it got it, and
    /// what the kernel knew of it when the CPUs were read.
    thread: Option<(Thread, Option<CpuReading>)>,
    /// What is not in the counters of the CPU yet.
    in_flight_ns: u64,
}

impl State {
    pub(super) fn new(loaded: Loaded) -> Self {
        let Loaded {
            ebpf,
            cpus,
            threads,
            touched,
            free,
            events,
            preemptions,
            known,
            debug_log,
            cpu_reader,
            report: _,
        } = loaded;
        let page_size = rustix::param::page_size() as u64;
        Self {
            accounts: Accounts::new(threads.len(), known, page_size, Hierarchies::of_this_host()),
            told_busy_ns: vec![0; cpus.len() as usize],
            online: OnlineCpus::new(cpus.len()),
            ebpf,
            cpus,
            threads,
            touched,
            free,
            events,
            preemptions,
            events_lost: 0,
            last_regular_pass: None,
            is_pass_of_use: true,
            unknown_tasks: 0,
            exited: 0,
            lost_told: 0,
            recent: Vec::new(),
            to_read: Vec::new(),
            freed: Vec::new(),
            running: Vec::new(),
            debug_log,
            cpu_reader,
            clock: None,
        }
    }

    /// Reads what changed since the last time.
    pub(super) fn drain(&mut self, now_ns: u64, wall: SystemTime) -> Vec<ProcessEvent> {
        if let Some(log) = &mut self.debug_log {
            log.flush();
        }
        // The events first: a thread that is told to have ended has its final
        // counters in its record by then.
        let mut records = Vec::new();
        self.to_read.clear();
        while let Some(item) = self.events.next() {
            if let Some(record) = EventRecord::decode(&item) {
                if let EventRecord::ThreadEnd(end) = &record {
                    self.to_read.push(end.thread);
                }
                records.push(record);
            } else {
                let bytes = item.len();
                tracing::warn!(bytes, "a record of the ring buffer has an unknown form");
            }
        }
        self.to_read.append(&mut self.recent);
        self.touched.drain_into(&mut self.recent);
        self.to_read.extend_from_slice(&self.recent);
        self.accounts.take_waiting(&mut self.to_read);
        self.to_read.sort_unstable();
        self.to_read.dedup();
        for &index in &self.to_read {
            if let Some(thread) = self.threads.read(index) {
                self.accounts.update(index, &thread);
            }
        }
        if records
            .iter()
            .any(|record| matches!(record, EventRecord::CgroupMove(_)))
        {
            let running = (0..self.cpus.len()).filter_map(|index| {
                let (cpu, record) = self.running(index)?;
                Some(Running {
                    thread: cpu.thread,
                    since_ns: cpu.since_ns,
                    cpu_ns: record?.cpu_ns,
                })
            });
            let running = running.collect();
            self.accounts.note_running(running);
        }
        let events = self.accounts.settle(
            records,
            &Clock {
                monotonic_ns: now_ns,
                wall,
            },
            &mut self.freed,
        );
        self.give_back();
        events
    }

    /// Makes the records of threads that ended free again.
    fn give_back(&mut self) {
        for index in self.freed.drain(..) {
            self.threads.mark_free(index);
            if let Err(error) = self.free.push(index, 0) {
                tracing::error!(%error, "a thread record cannot be given back, and is lost until the restart");
            }
        }
    }

    /// Goes through all tasks if that is due: for what changes slowly, or
    /// because a task was seen that is not known.
    pub(super) fn pass_if_due(&mut self, now: SystemTime) -> io::Result<Vec<ProcessEvent>> {
        let unknown = self.sum(|cpu| cpu.unknown_tasks);
        let is_missed = self.accounts.needs_pass() || unknown != self.unknown_tasks;
        // A task may be hidden from the pass, or find no free record: then the
        // next regular one is soon enough.
        if self.is_regular_pass_due() || (is_missed && self.is_pass_of_use) {
            self.unknown_tasks = unknown;
            return self.pass(now);
        }
        Ok(Vec::new())
    }

    fn is_regular_pass_due(&self) -> bool {
        self.last_regular_pass
            .is_none_or(|last| last.elapsed() >= PASS_INTERVAL)
    }

    /// Goes through all tasks.
    pub(super) fn pass(&mut self, now: SystemTime) -> io::Result<Vec<ProcessEvent>> {
        let is_first = self.last_regular_pass.is_none();
        let is_regular = self.is_regular_pass_due();
        if is_regular {
            self.last_regular_pass = Some(Instant::now());
        }
        let lost = self.events_dropped();
        if std::mem::replace(&mut self.events_lost, lost) != lost {
            self.accounts.distrust_cgroups();
        }
        let unidentified = self.accounts.unidentified();
        let mut found = 0;
        let Self {
            ebpf,
            accounts,
            threads,
            ..
        } = self;
        accounts.begin_pass(is_regular);
        task_iter::visit_all(ebpf, |entry| {
            if let Some(thread) = threads.read(entry.thread) {
                accounts.update(entry.thread, &thread);
            }
            found += entry.is_new;
            accounts.visit(entry, is_first);
        })?;
        let mut gone = Vec::new();
        let events = self.accounts.end_pass(now, &mut self.freed, &mut gone);
        self.detach(&gone);
        if is_regular {
            self.preemptions.sweep(self.accounts.cgroups());
            let exited = self.accounts.exited_processes();
            if exited >= self.exited + BURST {
                heap::give_back();
            }
            self.exited = exited;
        }
        self.give_back();
        self.is_pass_of_use = found > 0 || self.accounts.unidentified() < unidentified;
        Ok(events)
    }

    /// Makes records ones that no program finds any more.
    fn detach(&mut self, gone: &[u32]) {
        let tasks: Vec<(u32, u64)> = gone
            .iter()
            .filter_map(|&index| Some((index, self.threads.detach(index)?)))
            .collect();
        if tasks.is_empty() {
            return;
        }
        let Some(map) = self.ebpf.map_mut("THREAD_OF") else {
            return;
        };
        let Ok(mut thread_of) = HashMap::<_, u64, u32>::try_from(map) else {
            return;
        };
        for (index, task) in tasks {
            // By now another task may be at this address.
            if thread_of.get(&task, 0).is_ok_and(|found| found == index) {
                let _already_gone = thread_of.remove(&task);
            }
        }
    }

    /// Looks up in `/proc` what only it tells of a process that is new.
    pub(super) fn look_up(&mut self, tick: &Tick) {
        for _ in 0..LOOK_UPS_A_TICK {
            let Some(wanted) = self.accounts.next_look_up() else {
                break;
            };
            self.accounts.looked_up(wanted.key, look_up(tick, wanted));
        }
    }

    /// Compares what the program `read_cpus` tells with `/proc/stat`. If that
    /// is not the same, the program is not used.
    ///
    /// # Errors
    ///
    /// What is not the same.
    pub(super) fn check_cpus(&mut self) -> Result<(), String> {
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
    pub(super) fn read_cpus(&mut self) {
        if let Some(reader) = &mut self.cpu_reader
            && let Err(error) = reader.read(&self.ebpf)
        {
            tracing::error!(%error, "the program read_cpus cannot be run: /proc/stat is read instead");
            self.cpu_reader = None;
        }
    }

    /// What `/proc/stat` would tell, as of the last run of `read_cpus`; `None`
    /// without that.
    pub(super) fn cpu_stats(&self) -> Option<CpuStats> {
        self.cpu_reader.as_ref()?.cpu_stats()
    }

    /// Whether [`cpu_stats`](Self::cpu_stats) can be had.
    pub(super) fn reads_cpus(&self) -> bool {
        self.cpu_reader.as_ref().is_some_and(CpuReader::has_stats)
    }

    /// Processes and CPUs at one time, and the events that were found on the
    /// way.
    pub(super) fn look(&mut self, now_ns: u64, wall: SystemTime) -> (Look, Vec<ProcessEvent>) {
        // First who is running, with what each had used before it got its CPU;
        // then all that changed. So a thread that leaves its CPU in between is
        // found by its record, and its time in flight is left out.
        let slices = self.slices(now_ns);
        self.running.clear();
        for slice in &slices {
            if let Some((record, current)) = &slice.thread {
                self.charge(slice, record, current.as_ref(), now_ns);
            }
        }
        let cpus = self.rows(&slices, now_ns);
        let events = self.drain(now_ns, wall);
        let processes = self.accounts.reading(now_ns, &self.running);
        (Look { processes, cpus }, events)
    }

    /// Charges a process with what one of its threads has used of the CPU
    /// that it has.
    fn charge(
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

    /// What each CPU does.
    fn slices(&mut self, now_ns: u64) -> Vec<Slice> {
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

    /// What a CPU did, with the record of the thread that has it. One that does
    /// not tell of its switches has had nobody for any time.
    fn running(&mut self, index: u32) -> Option<(CpuCounters, Option<Thread>)> {
        let (mut cpu, thread) = self.noted(index)?;
        if cpu.since_ns == 0 || self.online.is_current(index, cpu.since_ns) {
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

    /// What the programs know of each CPU.
    pub(super) fn cpu_times(&mut self, now_ns: u64) -> Vec<CpuTimes> {
        let slices = self.slices(now_ns);
        self.rows(&slices, now_ns)
    }

    fn rows(&mut self, slices: &[Slice], now_ns: u64) -> Vec<CpuTimes> {
        let mut rows = Vec::with_capacity(slices.len());
        for slice in slices {
            if let Some(mut row) = cpu_times(slice, now_ns, self.known()) {
                if let Some(told) = self.told_busy_ns.get_mut(slice.cpu as usize) {
                    *told = row.busy_ns.unwrap_or(0).max(*told);
                    row.busy_ns = Some(*told);
                }
                rows.push(row);
            }
        }
        rows
    }

    /// How many events were lost since this was asked last.
    pub(super) fn take_lost(&mut self) -> u64 {
        let lost = self.events_lost();
        let before = std::mem::replace(&mut self.lost_told, lost);
        lost.saturating_sub(before)
    }

    /// The ends of threads are not among them: those are found by the records.
    pub(super) fn events_lost(&self) -> u64 {
        self.sum(|cpu| cpu.events_dropped.saturating_sub(cpu.ends_dropped))
    }

    pub(super) fn ends_found(&self) -> u64 {
        self.accounts.ends_found()
    }

    pub(super) fn events_dropped(&self) -> u64 {
        self.sum(|cpu| cpu.events_dropped)
    }

    pub(super) fn threads_dropped(&self) -> u64 {
        self.sum(|cpu| cpu.threads_dropped)
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

    pub(super) fn sched_latency(&self) -> SchedLatency {
        let known = self.known();
        let none = Histogram {
            sum_ns: 0,
            buckets: [0; BUCKETS],
        };
        let mut total = Latency {
            runqueue_wait: none,
            on_cpu: none,
            off_cpu: none,
        };
        let row = |cpu, latency: &Latency| CpuLatency {
            cpu,
            runqueue_wait: known.runqueue.then(|| histogram(&latency.runqueue_wait)),
            on_cpu: Some(histogram(&latency.on_cpu)),
            off_cpu: known.blocked.then(|| histogram(&latency.off_cpu)),
        };
        let mut cpus = Vec::new();
        for index in 0..self.cpus.len() {
            let Some(cpu) = self
                .cpus
                .read(index)
                .filter(|cpu| cpu.counters.since_ns != 0)
            else {
                continue;
            };
            let latency = &cpu.latency;
            add(&mut total.runqueue_wait, &latency.runqueue_wait);
            add(&mut total.on_cpu, &latency.on_cpu);
            add(&mut total.off_cpu, &latency.off_cpu);
            cpus.push(row(Some(index), latency));
        }
        SchedLatency {
            cpus,
            total: row(None, &total),
            preemptions: self.preemptions(),
        }
    }
}

impl State {
    /// Who lost a CPU to whom, if the numbers of version 2 tell cgroups apart
    /// on this host.
    fn preemptions(&self) -> Option<Vec<Preemption>> {
        let cgroups = self.accounts.cgroups();
        (self.known().cgroups && cgroups.are_numbered()).then(|| self.preemptions.rows(cgroups))
    }
}

/// What the programs know of a CPU, up to now; nothing before its first
/// switch.
fn cpu_times(slice: &Slice, now_ns: u64, known: &Known) -> Option<CpuTimes> {
    let cpu = &slice.counters;
    if cpu.since_ns == 0 {
        return None;
    }
    let (busy, idle) = if cpu.tid == 0 {
        (0, now_ns.saturating_sub(cpu.since_ns))
    } else {
        (slice.in_flight_ns, 0)
    };
    Some(CpuTimes {
        cpu: Some(slice.cpu),
        busy_ns: Some(cpu.busy_ns + busy),
        idle_task_ns: Some(cpu.idle_ns + idle),
        unattributed_ns: Some(cpu.unattributed_ns),
        voluntary_switches: Some(cpu.voluntary_switches),
        involuntary_switches: Some(cpu.involuntary_switches),
        idle_switches: Some(cpu.idle_switches),
        wakeups: known.wakeups.then_some(cpu.wakeups),
        ..CpuTimes::default()
    })
}

/// What `/proc` tells of a process; nothing if its number belongs to another
/// one by now.
fn look_up(tick: &Tick, wanted: LookUp) -> Details {
    let pid = wanted.key.pid;
    let read = |file: &str| tick.read(&format!("/proc/{pid}/{file}")).ok();
    let mut details = Details::default();
    if wanted.cgroup {
        details.cgroup = read("cgroup")
            .and_then(|bytes| proc_pid::parse_cgroup(&bytes))
            .map(Into::into);
    }
    if wanted.cmdline {
        details.cmdline = read("cmdline").map(|bytes| proc_pid::parse_cmdline(&bytes).joined());
    }
    let Some(stat) = read("stat").and_then(|bytes| proc_pid::parse_stat(&bytes).ok()) else {
        return Details::default();
    };
    // The file tells the start to a clock tick.
    let tick_ns = 1_000_000_000 / CLOCK_TICKS_PER_SECOND;
    if stat.start_time_ns != wanted.key.start_ns / tick_ns * tick_ns {
        return Details::default();
    }
    if wanted.comm {
        details.comm = Some(stat.comm);
    }
    if wanted.memory {
        details.rss_bytes = Some(stat.rss_pages * rustix::param::page_size() as u64);
        details.vm_bytes = Some(stat.vm_bytes);
    }
    details
}

/// Adds what one CPU counted to what others did.
fn add(total: &mut Histogram, cpu: &Histogram) {
    total.sum_ns = total.sum_ns.saturating_add(cpu.sum_ns);
    for (total, count) in total.buckets.iter_mut().zip(cpu.buckets) {
        *total += count;
    }
}

fn histogram(counted: &Histogram) -> LatencyHistogram {
    let buckets: Vec<LatencyBucket> = counted
        .buckets
        .iter()
        .enumerate()
        .filter(|&(_bucket, &count)| count > 0)
        .map(|(bucket, &count)| {
            let (from_ns, to_ns) = bucket_bounds(bucket);
            LatencyBucket {
                from_ns,
                to_ns,
                count,
            }
        })
        .collect();
    LatencyHistogram {
        count: buckets.iter().map(|bucket| bucket.count).sum(),
        sum_ns: counted.sum_ns,
        buckets,
    }
}
