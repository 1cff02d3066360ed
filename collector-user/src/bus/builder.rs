use std::sync::Arc;

use super::{budget, core::Core, handle::Bus, modes::Mode, scheduler, topic::Topic};
use crate::{
    collector::Collector,
    metric::{Backend, Reading},
    source::{Clock, Sources, SystemClock},
};

/// Makes a [`Bus`].
#[derive(Debug)]
pub struct BusBuilder {
    mode: Mode,
    cache_bytes: usize,
    sources: Sources,
    clock: Arc<dyn Clock>,
    host: Option<Arc<str>>,
    topics: Vec<Topic>,
}

impl Default for BusBuilder {
    fn default() -> Self {
        Self {
            mode: Mode::Bus,
            cache_bytes: budget::DEFAULT,
            sources: Sources::live(),
            clock: Arc::new(SystemClock),
            host: None,
            topics: Vec::new(),
        }
    }
}

impl BusBuilder {
    /// Reads this tree instead of the live one.
    #[must_use]
    pub fn sources(self, sources: Sources) -> Self {
        Self { sources, ..self }
    }

    /// Who begins a collection, and who shares it; [`Mode::Bus`] unless set.
    #[must_use]
    pub fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// How many bytes the cached readings may take together; 32 MiB unless
    /// set. When they would take more, the lists of the largest are cut.
    #[must_use]
    pub fn cache_budget(self, cache_bytes: usize) -> Self {
        Self {
            cache_bytes,
            ..self
        }
    }

    /// Takes the times on samples from this clock instead of the host's.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// The name of the host in snapshots, instead of what the tree says.
    #[must_use]
    pub fn host(self, host: impl Into<Arc<str>>) -> Self {
        Self {
            host: Some(host.into()),
            ..self
        }
    }

    /// Adds a collector. A metric has one collector or one producer: the last one added.
    #[must_use]
    pub fn collector<C: Collector>(self, collector: C) -> Self {
        self.topic(Topic::collected(collector))
    }

    /// Adds a metric whose readings a producer publishes.
    #[must_use]
    pub fn producer<R: Reading>(self, backend: Backend) -> Self {
        self.topic(Topic::published::<R>(backend))
    }

    fn topic(mut self, topic: Topic) -> Self {
        self.topics
            .retain(|other| other.info.name != topic.info.name);
        self.topics.push(topic);
        self
    }

    /// Starts the bus on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// When called outside of a tokio runtime.
    pub fn build(mut self) -> Bus {
        self.topics
            .sort_by_key(|topic| (topic.info.tier, topic.info.name));
        let host = match self.host {
            Some(host) => host,
            None => host_of(&self.sources),
        };
        let core = Arc::new(Core::new(
            self.topics.into(),
            self.mode,
            self.cache_bytes,
            self.sources,
            self.clock,
            tokio::runtime::Handle::current(),
            host,
        ));
        let changed = Arc::clone(&core.changed);
        tokio::spawn(scheduler::run(Arc::downgrade(&core), changed));
        Bus::new(core)
    }
}

/// The name of the host that a tree is of: for the live one, the node name of
/// `uname`, which is the same as `/proc/sys/kernel/hostname`.
fn host_of(sources: &Sources) -> Arc<str> {
    if sources.is_live() {
        return rustix::system::uname().nodename().to_string_lossy().into();
    }
    // A captured tree is not trusted: a FIFO in the place of the file would
    // hold up the start for ever.
    let path = sources.root().join("proc/sys/kernel/hostname");
    let name = std::fs::metadata(&path)
        .ok()
        .filter(std::fs::Metadata::is_file)
        .and_then(|_| std::fs::read_to_string(&path).ok());
    name.as_deref().map_or("unknown", str::trim).into()
}

impl crate::collector::CollectorSet for BusBuilder {
    fn add<C: Collector>(self, collector: C) -> Self {
        self.collector(collector)
    }
}
