use std::{
    collections::HashSet,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError, TryLockError},
    thread::JoinHandle,
    time::SystemTime,
};

use rustix::event::{EventfdFlags, eventfd};

use super::{
    EventSink, EventStream,
    events::{Shared, handle_events},
    kernel_accounting::KernelAccounting,
    proc_reader::ProcReader,
};
use crate::{
    accounting::{DetailsRequest, ProcessKey},
    allocator,
    metric::{
        CpuStats, CpuTimes, MetricInfo, ProcessEvent, ProcessStats, Reading as _, SchedLatency,
    },
    source::{
        ReadWindow, Tick,
        bpf::{self, CpuTimesUnused, IterError, LoadError, LoadOptions, LoadReport, ProgramState},
    },
};

/// The loaded and attached programs, and the accounts of what they measure.
/// Cheap to clone; dropping the last clone detaches the programs.
#[derive(Clone, Debug)]
pub struct Accountant {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    /// Locked while files of `/proc` are read, which may take a while.
    proc_reader: Mutex<ProcReader>,
    report: LoadReport,
    stop: OwnedFd,
    event_thread: Option<JoinHandle<()>>,
}

impl Accountant {
    /// Loads and attaches the programs, and visits the existing processes. Blocks
    /// for some tens of milliseconds.
    ///
    /// # Minimum kernel version
    ///
    /// 5.10, with BTF. Needs the rights to load programs: root, or `CAP_BPF` and
    /// `CAP_PERFMON`.
    ///
    /// # Errors
    ///
    /// If a required program cannot be loaded: then only the procfs backend can
    /// be used.
    pub fn load(options: &LoadOptions) -> Result<Self, LoadError> {
        let loaded = bpf::load(options)?;
        // The BTF of the kernel took tens of megabytes.
        allocator::trim();
        let mut report = loaded.report.clone();
        let readiness = loaded
            .programs
            .events
            .readiness()
            .map_err(LoadError::Watch)?;
        let mut accounting = KernelAccounting::new(loaded);
        accounting.pass(SystemTime::now())?;
        if let Err(CpuTimesUnused { reason, advice }) = accounting.check_cpu_times() {
            tracing::warn!(reason, advice, "the program read_cpus is not used");
            for program in &mut report.programs {
                if program.name == bpf::CPU_TIMES_PROGRAM {
                    program.state = ProgramState::Off {
                        reason: reason.clone(),
                        advice: advice.clone(),
                    };
                }
            }
        }
        let shared = Arc::new(Shared::new(accounting));
        let stop =
            eventfd(0, EventfdFlags::CLOEXEC).map_err(|error| LoadError::Watch(error.into()))?;
        let stopped = stop.try_clone().map_err(LoadError::Watch)?;
        let of_thread = Arc::clone(&shared);
        let event_thread = std::thread::Builder::new()
            .name("collector-ebpf".to_owned())
            .spawn(move || handle_events(&of_thread, &readiness, &stopped))
            .map_err(LoadError::Thread)?;
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                proc_reader: Mutex::default(),
                report,
                stop,
                event_thread: Some(event_thread),
            }),
        })
    }

    /// Which programs are attached, and which are not and why.
    pub fn report(&self) -> &LoadReport {
        &self.inner.report
    }

    /// Sends lifecycle events to this sink, instead of the previous one, as long as
    /// the returned stream is kept.
    pub fn send_events_to(&self, sink: impl EventSink + 'static) -> EventStream {
        self.inner.shared.send_events_to(Arc::new(sink))
    }

    /// The reading that the metrics of this tick share, taken once per tick and as
    /// of one time; `None` if the tick has something else under the same key.
    ///
    /// It has only the parts that the metrics of the tick need.
    pub fn accounted(&self, tick: &Tick) -> Option<Arc<Accounted>> {
        tick.shared(ACCOUNTED, |tick| self.account(tick))
    }

    fn account(&self, tick: &Tick) -> Accounted {
        let wants = |metric: &MetricInfo| tick.collects(metric.name);
        let wants_processes = wants(&ProcessStats::METRIC);
        let wants_latency = wants(&SchedLatency::METRIC);
        let shared = &self.inner.shared;
        // A pass over all tasks may take a while, and is not part of the read
        // window.
        let passed = if wants_processes {
            shared.publishing(drain_and_pass)
        } else {
            Ok(())
        };
        if wants_processes || wants_latency {
            self.read_details(tick);
        }
        // If `cpu_stats` has to read it, it is part of the read window of all
        // three.
        if wants(&CpuStats::METRIC) && !self.has_cpu_stats() {
            let _the_collector_parses_it = tick.read("/proc/stat");
        }
        shared.publishing(|accounting, events| {
            let began_ns = now_ns();
            accounting.read_cpu_times();
            let (processes, cpus) = if wants_processes {
                let (both, latest) =
                    accounting.processes_and_cpus(now_ns(), SystemTime::now(), tick);
                events.extend(latest);
                (Some(both.processes), both.cpus)
            } else {
                (None, accounting.cpu_times(now_ns(), tick))
            };
            let accounted = Accounted {
                processes: processes.map(|processes| passed.map(|()| processes)),
                kernel: accounting.cpu_stats(),
                cpus,
                latency: wants_latency.then(|| accounting.sched_latency()),
                events_dropped: accounting.events_dropped(),
                threads_dropped: accounting.threads_dropped(),
            };
            tick.note_read(ReadWindow {
                began_ns,
                ended_ns: now_ns(),
            });
            accounted
        })
    }

    /// All processes, as of now.
    ///
    /// Reads the records of the threads that ran since the last reading. Fields of
    /// a new process that the programs cannot read are read from `/proc` through
    /// `tick`, once.
    ///
    /// # Errors
    ///
    /// If a pass over all tasks is due and fails.
    pub fn process_stats(&self, tick: &Tick) -> Result<ProcessStats, IterError> {
        self.processes_and_cpus(tick).map(|both| both.processes)
    }

    /// All processes and all CPUs, as of one time: the CPU time of the live and
    /// the exited processes grows by the busy time of the CPUs.
    ///
    /// # Errors
    ///
    /// As [`process_stats`](Self::process_stats).
    pub fn processes_and_cpus(&self, tick: &Tick) -> Result<ProcessesAndCpus, IterError> {
        // The events have been taken out of the ring buffer: they are published
        // whether or not the pass succeeds.
        let shared = &self.inner.shared;
        shared.publishing(drain_and_pass)?;
        self.read_details(tick);
        shared.publishing(|accounting, events| {
            accounting.read_cpu_times();
            let (both, latest) = accounting.processes_and_cpus(now_ns(), SystemTime::now(), tick);
            events.extend(latest);
            Ok(both)
        })
    }

    /// The kernel's accounting of each CPU, read without a file; `None` if
    /// `/proc/stat` is to be read instead. And for each CPU that has switched
    /// tasks, the times that the programs measure; the other fields are `None`.
    pub fn cpu_stats(&self, tick: &Tick) -> (Option<CpuStats>, Vec<CpuTimes>) {
        let mut accounting = self.inner.shared.accounting();
        accounting.read_cpu_times();
        (accounting.cpu_stats(), accounting.cpu_times(now_ns(), tick))
    }

    /// For each CPU that has switched tasks, the times that the programs measure;
    /// the other fields are `None`.
    pub fn cpu_times(&self, tick: &Tick) -> Vec<CpuTimes> {
        self.cpu_stats(tick).1
    }

    /// Whether the kernel's accounting of the CPUs is read without `/proc/stat`.
    pub fn has_cpu_stats(&self) -> bool {
        self.inner.shared.accounting().has_cpu_stats()
    }

    /// Lifecycle events that were dropped because the ring buffer was full, since
    /// the start.
    pub fn events_dropped(&self) -> u64 {
        self.inner.shared.accounting().events_dropped()
    }

    /// Events that no subscriber gets: forks and execs that were
    /// [dropped](Self::events_dropped) or [missed](Self::events_missed). The exit
    /// of a process is never lost.
    pub fn events_lost(&self) -> u64 {
        self.inner.shared.accounting().events_lost()
    }

    /// Forks and execs for which the kernel skipped the program, since the start:
    /// since Linux 7.0 it does so while another run of the program is preempted on
    /// the same CPU.
    pub fn events_missed(&self) -> u64 {
        self.inner.shared.accounting().events_missed()
    }

    /// Threads whose exit was found in their records without an event, since the
    /// start.
    pub fn ends_without_event(&self) -> u64 {
        self.inner.shared.accounting().ends_without_event()
    }

    /// Threads for which there was no free record, since the start.
    pub fn threads_dropped(&self) -> u64 {
        self.inner.shared.accounting().threads_dropped()
    }

    /// Reads the fields of new processes and cgroups that only `/proc` has, once
    /// each, as [`processes_and_cpus`](Self::processes_and_cpus) does.
    ///
    /// The accounts are not locked meanwhile: a process can block reads of its
    /// command line for as long as it likes.
    pub fn read_details(&self, tick: &Tick) {
        let mut reader = match self.inner.proc_reader.try_lock() {
            Ok(reader) => reader,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another thread reads them now.
            Err(TryLockError::WouldBlock) => return,
        };
        let requests = self.take_requests(tick);
        let details = reader.read(tick, requests);
        self.inner.shared.accounting().apply_details(details);
    }

    /// Requests for processes of which nothing was read in this tick yet.
    fn take_requests(&self, tick: &Tick) -> Vec<DetailsRequest> {
        let tick = tick.untimed();
        let done = tick.shared(REQUESTED, |_tick| Mutex::new(HashSet::<ProcessKey>::new()));
        done.map_or_else(Vec::new, |done| {
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            self.inner.shared.accounting().take_requests(&mut done)
        })
    }

    /// The histograms of each CPU and of all, and the preemptions between cgroups.
    ///
    /// A new cgroup has no path before [`read_details`](Self::read_details).
    pub fn sched_latency(&self) -> SchedLatency {
        self.inner.shared.accounting().sched_latency()
    }
}

/// The key of the reading that is shared in a tick.
const ACCOUNTED: &str = "BPF maps of the eBPF backend";

/// The key of the processes of which fields were read in a tick.
const REQUESTED: &str = "processes read from /proc";

/// All processes and CPUs as of one time, so that their sums agree.
#[derive(Clone, Debug)]
pub struct ProcessesAndCpus {
    /// All processes.
    pub processes: ProcessStats,
    /// The times that the programs measure, of each CPU that has switched tasks.
    /// The fields that only the kernel has are `None`.
    pub cpus: Vec<CpuTimes>,
}

/// The reading that the metrics of a tick share, as of one time: the CPU time of
/// the live and the exited processes grows by the busy time of the CPUs.
#[derive(Debug)]
pub struct Accounted {
    /// All processes, if the tick collects them, or why they are unknown.
    pub processes: Option<Result<ProcessStats, IterError>>,
    /// The kernel's accounting of each CPU; `None` if `/proc/stat` is to be read.
    pub kernel: Option<CpuStats>,
    /// The times that the programs measure, of each CPU that has switched tasks.
    /// The fields that only the kernel has are `None`.
    pub cpus: Vec<CpuTimes>,
    /// The histograms, if the tick collects them.
    pub latency: Option<SchedLatency>,
    /// Lifecycle events that were dropped because the ring buffer was full, since
    /// the start.
    pub events_dropped: u64,
    /// Threads for which there was no free record, since the start.
    pub threads_dropped: u64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Writing to an eventfd fails only if the counter would overflow.
        let _ended = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
        // This may be the event thread itself, if a sink that had the last clone
        // is dropped by it: a thread cannot join itself.
        if let Some(thread) = self.event_thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _panicked = thread.join();
        }
    }
}

/// Drains events and records, and visits all tasks if that is due; adds the
/// events to `events`, also on an error.
fn drain_and_pass(
    accounting: &mut KernelAccounting,
    events: &mut Vec<ProcessEvent>,
) -> Result<(), IterError> {
    events.extend(accounting.drain(now_ns(), SystemTime::now()));
    events.extend(accounting.pass_if_due(SystemTime::now())?);
    Ok(())
}

/// The time by `CLOCK_MONOTONIC`, which is the clock of `bpf_ktime_get_ns`.
pub(super) fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
