use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Mutex, TryLockError},
    thread::JoinHandle,
    time::SystemTime,
};

use rustix::event::{EventfdFlags, eventfd};

use super::{
    LoadError, LoadOptions, LoadReport, ProgramState,
    cpu_reader::{self, Unused},
    heap, loader,
    state::{Look, LookUps, State},
};
use crate::{
    metric::{
        CpuStats, CpuTimes, MetricInfo, ProcessEvent, ProcessStats, Reading as _, SchedLatency,
    },
    source::{ReadWindow, Tick},
};

mod events;

pub use events::{EventSink, EventStream};
use events::{Shared, pump_events};

/// The loaded and attached programs. Cheap to clone; dropping the last clone
/// detaches them.
#[derive(Clone, Debug)]
pub struct Scheduler {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    /// Locked by who looks something up in `/proc`, which may take a while.
    look_ups: Mutex<LookUps>,
    report: LoadReport,
    stop: OwnedFd,
    pump: Option<JoinHandle<()>>,
}

impl Scheduler {
    /// Loads and attaches the programs, and finds the processes that were
    /// there before. Blocks for some tens of milliseconds.
    ///
    /// # Minimum kernel version
    ///
    /// 5.10, with BTF; and the rights to load programs: root, or `CAP_BPF` and
    /// `CAP_PERFMON`.
    ///
    /// # Errors
    ///
    /// When there is no eBPF to be had: the procfs backend is then the way.
    pub fn load(options: &LoadOptions) -> Result<Self, LoadError> {
        let loaded = loader::load(options)?;
        // The kernel's description of its types took tens of megabytes.
        heap::give_back();
        let failed = |call: &str, error: io::Error| LoadError::Other(format!("{call}: {error}"));
        let mut report = loaded.report.clone();
        let events_fd = loaded
            .events
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| failed("cannot watch the ring buffer", error))?;
        let mut state = State::new(loaded);
        state
            .pass(SystemTime::now())
            .map_err(|error| failed("cannot go through the tasks that are there", error))?;
        if let Err(unused) = state.check_cpus() {
            let Unused { reason, advice } = unused;
            tracing::warn!(reason, advice, "the program read_cpus is not used");
            for program in &mut report.programs {
                if program.name == cpu_reader::PROGRAM {
                    program.state = ProgramState::Off {
                        reason: reason.clone(),
                        advice: advice.clone(),
                    };
                }
            }
        }
        let shared = Arc::new(Shared::new(state));
        let stop = eventfd(0, EventfdFlags::CLOEXEC)
            .map_err(|error| failed("cannot make an eventfd", error.into()))?;
        let stopped = stop
            .try_clone()
            .map_err(|error| failed("cannot make an eventfd", error))?;
        let pumped = Arc::clone(&shared);
        let pump = std::thread::Builder::new()
            .name("collector-ebpf".to_owned())
            .spawn(move || pump_events(&pumped, &events_fd, &stopped))
            .map_err(|error| failed("cannot start a thread", error))?;
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                look_ups: Mutex::default(),
                report,
                stop,
                pump: Some(pump),
            }),
        })
    }

    /// What was attached, and what was not and why.
    pub fn report(&self) -> &LoadReport {
        &self.inner.report
    }

    /// Sends lifecycle events to this sink, instead of to the one before, for
    /// as long as the returned stream is kept.
    pub fn send_events_to(&self, sink: impl EventSink + 'static) -> EventStream {
        self.inner.shared.send_events_to(Arc::new(sink))
    }

    /// What the metrics of this tick need that are accounted together, read once
    /// in the tick and as of one time; `None` if the tick has something else
    /// under the same key.
    ///
    /// What no metric of the tick needs is left out.
    pub fn accounted(&self, tick: &Tick) -> Option<Arc<Accounted>> {
        tick.shared(ACCOUNTED, |tick| self.account(tick))
    }

    fn account(&self, tick: &Tick) -> Accounted {
        let wants = |metric: &MetricInfo| tick.collects(metric.name);
        let wants_processes = wants(&ProcessStats::METRIC);
        let wants_latency = wants(&SchedLatency::METRIC);
        let shared = &self.inner.shared;
        // A pass over all tasks may take a while: it is none of the time of the
        // reading.
        let passed = if wants_processes {
            shared.handing_on(drain_and_pass)
        } else {
            Ok(())
        };
        if wants_processes || wants_latency {
            self.look_up(tick);
        }
        // Where `cpu_stats` has to read it, it is part of the time of all three.
        if wants(&CpuStats::METRIC) && !self.reads_cpus() {
            let _the_collector_parses_it = tick.read("/proc/stat");
        }
        shared.handing_on(|state, events| {
            let began_ns = now_ns();
            state.read_cpus();
            let (processes, cpus) = if wants_processes {
                let (look, latest) = state.look(now_ns(), SystemTime::now(), tick);
                events.extend(latest);
                (Some(look.processes), look.cpus)
            } else {
                (None, state.cpu_times(now_ns(), tick))
            };
            let accounted = Accounted {
                processes: processes.map(|processes| match &passed {
                    Ok(()) => Ok(processes),
                    Err(error) => Err(format!("cannot go through all tasks: {error}")),
                }),
                kernel: state.cpu_stats(),
                cpus,
                latency: wants_latency.then(|| state.sched_latency()),
                events_dropped: state.events_dropped(),
                threads_dropped: state.threads_dropped(),
            };
            tick.note_read(ReadWindow {
                began_ns,
                ended_ns: now_ns(),
            });
            accounted
        })
    }

    /// Every process, as of now.
    ///
    /// Reads the threads that ran since the last time. What only `/proc`
    /// tells of a new process is read through `tick`, once.
    ///
    /// # Errors
    ///
    /// When the pass over all tasks that is due fails.
    pub fn process_stats(&self, tick: &Tick) -> io::Result<ProcessStats> {
        self.look(tick).map(|look| look.processes)
    }

    /// Every process and every CPU, as of one time: what the processes used,
    /// alive and gone, has grown by as much as the CPUs were busy.
    ///
    /// # Errors
    ///
    /// As [`process_stats`](Self::process_stats).
    pub fn look(&self, tick: &Tick) -> io::Result<Look> {
        // What happened has been taken out of the ring buffer: it is handed on
        // whether or not the rest succeeds.
        let shared = &self.inner.shared;
        shared.handing_on(drain_and_pass)?;
        self.look_up(tick);
        shared.handing_on(|state, events| {
            state.read_cpus();
            let (look, latest) = state.look(now_ns(), SystemTime::now(), tick);
            events.extend(latest);
            Ok(look)
        })
    }

    /// What the kernel counts of each CPU, read without a file; `None` where
    /// that cannot be had, and `/proc/stat` is to be read. And for each CPU
    /// that has switched tasks, what the programs know of it; the other fields
    /// are empty.
    pub fn cpu_stats(&self, tick: &Tick) -> (Option<CpuStats>, Vec<CpuTimes>) {
        let mut state = self.inner.shared.state();
        state.read_cpus();
        (state.cpu_stats(), state.cpu_times(now_ns(), tick))
    }

    /// For each CPU that has switched tasks: what the programs know of it.
    /// The other fields are empty.
    pub fn cpu_times(&self, tick: &Tick) -> Vec<CpuTimes> {
        self.cpu_stats(tick).1
    }

    /// Whether what the kernel counts of each CPU can be read without
    /// `/proc/stat`.
    pub fn reads_cpus(&self) -> bool {
        self.inner.shared.state().reads_cpus()
    }

    /// Records of lifecycle events that were lost because the ring buffer was
    /// full, since the start.
    pub fn events_dropped(&self) -> u64 {
        self.inner.shared.state().events_dropped()
    }

    /// Events that no subscriber will get: begins of processes and of programs
    /// that were [dropped](Self::events_dropped) or
    /// [missed](Self::events_missed). The end of a process is told all the
    /// same.
    pub fn events_lost(&self) -> u64 {
        self.inner.shared.state().events_lost()
    }

    /// Begins of processes and of programs that the kernel did not tell, since
    /// the start: since Linux 7.0 it leaves out a program that comes while
    /// another run of it is preempted on the same CPU.
    pub fn events_missed(&self) -> u64 {
        self.inner.shared.state().events_missed()
    }

    /// Threads of whose end no record told, and that were found to have ended
    /// all the same, since the start.
    pub fn ends_found(&self) -> u64 {
        self.inner.shared.state().ends_found()
    }

    /// Threads for which there was no free record, since the start.
    pub fn threads_dropped(&self) -> u64 {
        self.inner.shared.state().threads_dropped()
    }

    /// Reads what only `/proc` tells of processes and cgroups that are new, once
    /// each, as [`look`](Self::look) does.
    ///
    /// No lock is held meanwhile that others need: a process may keep its
    /// command line from being read for as long as it likes.
    pub fn look_up(&self, tick: &Tick) {
        let mut look_ups = match self.inner.look_ups.try_lock() {
            Ok(look_ups) => look_ups,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody else does it now.
            Err(TryLockError::WouldBlock) => return,
        };
        let wanted = self.inner.shared.state().wanted(tick);
        let found = look_ups.find(tick, wanted);
        self.inner.shared.state().looked_up(found);
    }

    /// The histograms of each CPU, and of all, and who lost a CPU to whom.
    ///
    /// A cgroup that is new has no path before [`look_up`](Self::look_up).
    pub fn sched_latency(&self) -> SchedLatency {
        self.inner.shared.state().sched_latency()
    }
}

/// The key of what is read once a tick.
const ACCOUNTED: &str = "BPF maps of the scheduler";

/// What is accounted together, as of one time: what the processes used, alive
/// and gone, has grown by as much as the CPUs were busy.
#[derive(Debug)]
pub struct Accounted {
    /// Every process, if the tick collects them, or why they cannot be had.
    pub processes: Option<Result<ProcessStats, String>>,
    /// What the kernel counts of each CPU; `None` where that cannot be had, and
    /// `/proc/stat` is to be read.
    pub kernel: Option<CpuStats>,
    /// What the programs know of each CPU that has switched tasks. The fields
    /// that only the kernel has are empty.
    pub cpus: Vec<CpuTimes>,
    /// The histograms, if the tick collects them.
    pub latency: Option<SchedLatency>,
    /// Records of lifecycle events that found no room, since the start.
    pub events_dropped: u64,
    /// Threads for which there was no free record, since the start.
    pub threads_dropped: u64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Writing to an eventfd fails only at the end of its range.
        let _ended = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
        // A sink whose stream was dropped while it was given events may have
        // held the last clone of the programs: a thread cannot wait for itself.
        if let Some(pump) = self.pump.take()
            && pump.thread().id() != std::thread::current().id()
        {
            let _panicked = pump.join();
        }
    }
}

/// Takes over what happened, and goes through all tasks if that is due; adds
/// the events that were found to `events`, also if it fails.
fn drain_and_pass(state: &mut State, events: &mut Vec<ProcessEvent>) -> io::Result<()> {
    events.extend(state.drain(now_ns(), SystemTime::now()));
    events.extend(state.pass_if_due(SystemTime::now())?);
    Ok(())
}

/// The clock by which the programs stamp: `bpf_ktime_get_ns`.
fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
