//! The agent: the backend that this host allows, the sources, and a bus with
//! every collector.

mod absent;
mod backend;
mod builder;
mod events;
mod plan;
mod report;

use std::path::PathBuf;

pub use backend::{BackendChoice, Fallback, UnknownBackend};
pub use builder::AgentBuilder;
pub use report::{MetricRow, StartReport};

use crate::{
    bus::{BuildError, Bus, SubscribeError},
    collectors::ebpf::Accountant,
    metric::{ProcessEvent, Reading as _, UnknownMetric},
    source::{SourceError, Sources, bpf::LoadError},
};
use backend::Accounting;
use plan::Plan;

/// The agent cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The eBPF backend was chosen and cannot start.
    #[error("the eBPF backend cannot start: {0}; or choose --backend procfs")]
    Ebpf(#[from] LoadError),
    /// The eBPF backend was chosen for a captured tree.
    #[error(
        "eBPF sees the running kernel only, not the tree {}: leave out --root, or choose --backend procfs",
        crate::text::harmless(&.0.to_string_lossy())
    )]
    EbpfOfTree(PathBuf),
    /// There is nothing to be read.
    #[error("{0}: --root takes the directory that has proc and sys in it")]
    NoProc(#[source] SourceError),
    /// A metric that was named does not exist.
    #[error(transparent)]
    UnknownMetric(#[from] UnknownMetric),
    /// The bus cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The bus ended while it was put together.
    #[error(transparent)]
    Bus(#[from] SubscribeError),
}

/// A bus with every collector on it, and what it was put together from.
///
/// What the bus needs lives as long as the bus: dropping the agent while a
/// clone of its [`Bus`], or a subscription, is held ends nothing. The programs
/// are detached when the last of them is dropped.
#[derive(Debug)]
pub struct Agent {
    bus: Bus,
    report: StartReport,
    scheduler: Option<Accountant>,
}

impl Agent {
    /// Makes an agent.
    pub fn builder() -> AgentBuilder {
        AgentBuilder::default()
    }

    fn start(options: AgentBuilder) -> Result<Self, StartError> {
        options.check_names()?;
        let sources = Sources::rooted(options.root);
        sources.check().map_err(StartError::NoProc)?;
        let accounting = backend::choose(options.backend, &sources, &options.ebpf)?;
        let plan = Plan::new(sources.clone(), options.disabled, options.own);
        let (plan, poller) = plan.with_all(&accounting);
        let has_events = plan.has(&ProcessEvent::METRIC);
        let (mut builder, metrics) = plan.finish();
        for (metric, pace) in options.paces {
            if metrics.iter().any(|row| row.metric.name == metric) {
                builder = builder.pace(metric, pace);
            }
        }
        let bus = builder.mode(options.mode).build()?;
        let report = StartReport::new(&accounting, metrics);
        let scheduler = match accounting {
            Accounting::Ebpf(scheduler) => Some(scheduler),
            Accounting::Procfs(_) => None,
        };
        if has_events {
            let publisher = bus.publisher::<ProcessEvent>()?.downgrade();
            match (&scheduler, poller) {
                (Some(scheduler), _) => {
                    bus.attach(scheduler.send_events_to(events::Sink(publisher)));
                }
                (None, Some(poller)) => {
                    let poll = events::poll(poller, sources, publisher);
                    drop(bus.runtime().spawn(poll));
                }
                (None, None) => {}
            }
        }
        Ok(Self {
            bus,
            report,
            scheduler,
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
        self.scheduler.as_ref().map_or(0, Accountant::events_lost)
    }

    /// Ends every collection, and detaches the programs.
    pub async fn stop(self) {
        self.bus.shutdown().await;
    }
}
