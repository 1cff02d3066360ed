use std::{collections::BTreeMap, thread, time::Duration};

use aya::Ebpf;

use crate::{agent::Agent, layouts, report::Spread, run::Failure};

/// The time to wait until the start-up work is done.
const SETTLE: Duration = Duration::from_millis(500);

/// What is attached to `sched_switch` while a load runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watched {
    /// Nothing.
    Bare,
    /// A `collector run`.
    Agent,
    /// An empty program: the cost of the hook.
    Empty,
    /// A program that reads the clock once, and nothing else.
    Clock,
}

impl Watched {
    /// Returns when it is attached.
    pub(super) fn begin(self) -> Result<Watcher, Failure> {
        let watcher = match self {
            Self::Bare => Watcher::Nobody,
            Self::Agent => Watcher::Agent(Agent::start("ebpf", "")?),
            Self::Empty => Watcher::Program(layouts::attached(layouts::EMPTY)?),
            Self::Clock => Watcher::Program(layouts::attached(layouts::CLOCK)?),
        };
        thread::sleep(SETTLE);
        Ok(watcher)
    }
}

/// Attached until it is dropped.
pub(super) enum Watcher {
    Nobody,
    Agent(#[expect(dead_code, reason = "is held, and ends when it is dropped")] Agent),
    Program(#[expect(dead_code, reason = "is held")] Ebpf),
}

/// The measurements of a load, in microseconds: one per round.
#[derive(Default)]
pub(super) struct Samples(BTreeMap<Watched, Vec<f64>>);

impl Samples {
    pub(super) fn push(&mut self, watched: Watched, took_us: f64) {
        self.0.entry(watched).or_default().push(took_us);
    }

    fn of(&self, watched: Watched) -> &[f64] {
        self.0.get(&watched).map_or(&[], Vec::as_slice)
    }

    pub(super) fn median(&self, watched: Watched) -> Option<f64> {
        Spread::of(self.of(watched)).map(|spread| spread.median)
    }

    /// The ratio to the time without a program, per round.
    pub(super) fn ratios(&self, watched: Watched) -> Vec<f64> {
        let each = self.of(watched).iter().zip(self.of(Watched::Bare));
        each.map(|(with, without)| with / without).collect()
    }
}
