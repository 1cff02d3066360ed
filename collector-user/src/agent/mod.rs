//! The parts put together: the backend that this host allows, the sources, and
//! a bus with every collector.

mod absent;
mod backend;
mod events;
mod plan;
mod report;

use std::path::PathBuf;

pub use backend::{BackendChoice, Fallback};
pub use report::{MetricRow, StartReport};

use crate::{
    bus::{Bus, Mode, SubscribeError},
    config::Config,
    metric::{ProcessEvent, Reading as _},
    source::{
        Sources,
        ebpf::{EventStream, LoadError, LoadOptions, Scheduler},
    },
};
use backend::Accounting;
use plan::Plan;

/// What an agent is made of.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// How CPUs and processes are accounted.
    pub backend: BackendChoice,
    /// The directory under which `proc` and `sys` are: `/` on a live host.
    pub root: PathBuf,
    /// The metrics that are not collected.
    pub disabled: Vec<&'static str>,
    /// How the eBPF programs are loaded.
    pub ebpf: LoadOptions,
    /// How much consumers share.
    pub mode: Mode,
}

/// The agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The eBPF backend was asked for, and is not to be had.
    #[error("the eBPF backend cannot start: {0}; or choose --backend procfs")]
    Ebpf(#[from] LoadError),
    /// The eBPF backend was asked for together with a captured tree.
    #[error(
        "eBPF sees the running kernel only, not the tree {}: leave out --root, or choose --backend procfs",
        .0.display()
    )]
    EbpfOfTree(PathBuf),
    /// There is nothing to be read.
    #[error(
        "there is no directory {}: --root takes the directory that has proc and sys in it",
        .0.display()
    )]
    NoProc(PathBuf),
    /// The bus ended while it was put together.
    #[error(transparent)]
    Bus(#[from] SubscribeError),
}

/// A bus with every collector on it, and what makes it run.
#[derive(Debug)]
pub struct Agent {
    bus: Bus,
    report: StartReport,
    /// Dropping the last clone of it detaches the programs.
    scheduler: Option<Scheduler>,
    /// Lifecycle events of the programs, on their way to the bus.
    _events: Option<EventStream>,
}

impl AgentOptions {
    /// What the configuration says, over a tree.
    pub fn new(config: &Config, root: PathBuf) -> Self {
        let disabled = config.metrics.iter();
        Self {
            backend: config.backend.value,
            root,
            disabled: disabled
                .filter(|(_, metric)| !metric.enabled.value)
                .map(|(name, _)| *name)
                .collect(),
            ebpf: LoadOptions::default(),
            mode: Mode::Bus,
        }
    }
}

impl Agent {
    /// Loads the programs if they can be had, and starts a bus on the current
    /// tokio runtime. Nothing is collected before somebody asks. Blocks for
    /// some tens of milliseconds.
    ///
    /// # Errors
    ///
    /// When the backend that was asked for is not to be had, or when there is
    /// no `/proc`.
    pub fn start(options: AgentOptions) -> Result<Self, StartError> {
        let sources = Sources::rooted(options.root);
        let proc = sources.root().join("proc");
        if !proc.is_dir() {
            return Err(StartError::NoProc(proc));
        }
        let accounting = backend::choose(options.backend, &sources, &options.ebpf)?;
        let plan = Plan::new(sources.clone(), options.disabled);
        let (plan, poller) = plan.with_all(&accounting);
        let has_events = plan.has(&ProcessEvent::METRIC);
        let (builder, metrics) = plan.finish();
        let bus = builder.mode(options.mode).build();
        let report = StartReport::new(&accounting, metrics);
        let scheduler = match accounting {
            Accounting::Ebpf(scheduler) => Some(scheduler),
            Accounting::Procfs(_) => None,
        };
        let mut stream = None;
        if has_events {
            let publisher = bus.publisher::<ProcessEvent>()?;
            match (&scheduler, poller) {
                (Some(scheduler), _) => {
                    stream = Some(scheduler.send_events_to(events::Sink(publisher)));
                }
                (None, Some(poller)) => events::poll(poller, sources, publisher),
                (None, None) => {}
            }
        }
        Ok(Self {
            bus,
            report,
            scheduler,
            _events: stream,
        })
    }

    /// The bus.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// What is attached, what fell back, and why.
    pub fn report(&self) -> &StartReport {
        &self.report
    }

    /// Lifecycle events that will not come, because the ring buffer of the
    /// programs had no room for them, since the start; zero with the procfs
    /// backend, which has none.
    pub fn events_lost(&self) -> u64 {
        self.scheduler.as_ref().map_or(0, Scheduler::events_lost)
    }

    /// Ends every collection, and detaches the programs.
    pub async fn stop(self) {
        self.bus.shutdown().await;
    }
}
