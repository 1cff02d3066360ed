use std::{collections::BTreeMap, thread, time::Duration};

use aya::Ebpf;

use crate::{agent::Agent, layouts, report::Spread, run::Failure};

/// How long is waited until what a start has set off is over.
const SETTLE: Duration = Duration::from_millis(500);

/// Who is told of the switches while a load runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watched {
    /// Nobody.
    Bare,
    /// A `collector run`.
    Agent,
    /// A program that does nothing: what it costs to be told at all.
    Empty,
    /// A program that reads the clock once, and nothing else.
    Clock,
}

impl Watched {
    /// Returns when whoever it is is told.
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

/// Is told of the switches until it is dropped.
pub(super) enum Watcher {
    Nobody,
    Agent(#[expect(dead_code, reason = "is held, and ends when it is dropped")] Agent),
    Program(#[expect(dead_code, reason = "is held")] Ebpf),
}

/// The measurements of a load, in microseconds: one of each in each round.
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

    /// How much longer it took than bare, round by round.
    pub(super) fn ratios(&self, watched: Watched) -> Vec<f64> {
        let each = self.of(watched).iter().zip(self.of(Watched::Bare));
        each.map(|(with, without)| with / without).collect()
    }
}
