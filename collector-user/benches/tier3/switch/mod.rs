//! What the agent costs programs that do little but switch.

mod loads;
mod ping_pong;
mod programs;

use std::{collections::BTreeMap, fs, thread, time::Duration};

use aya::programs::loaded_programs;

use crate::{
    agent::Agent,
    layouts,
    report::{Aim, Figure, Part, Spread, Table, Unit},
    run::{Failure, Run},
    tool,
};
use loads::{LOADS, Load};
pub(crate) use ping_pong::ping_pong;

/// Who is told of the switches while a load runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Watched {
    /// Nobody.
    Bare,
    /// A `collector run`.
    Agent,
    /// A program that does nothing: what it costs to be told at all.
    Empty,
    /// A program that reads the clock once, and nothing else.
    Clock,
}

/// Which loads a round measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen {
    All,
    WithAims,
}

/// The measurements of one load, in its own unit.
struct Measured {
    load: &'static Load,
    samples: BTreeMap<Watched, Vec<f64>>,
}

impl Measured {
    fn of(&self, watched: Watched) -> &[f64] {
        self.samples.get(&watched).map_or(&[], Vec::as_slice)
    }

    fn median(&self, watched: Watched) -> Option<f64> {
        Spread::of(self.of(watched)).map(|spread| spread.median)
    }

    /// How much longer it took than bare, round by round.
    fn ratios(&self, watched: Watched) -> Vec<f64> {
        let each = self.of(watched).iter().zip(self.of(Watched::Bare));
        each.map(|(with, without)| with / without).collect()
    }
}

pub(crate) fn run(run: &Run) -> Result<Part, Failure> {
    let rounds = run.choose(2, 27);
    let mut part = Part::new(
        "What the agent costs on the switch path",
        "Programs that do little but switch, with and without a `collector run` whose managers \
         subscribe at 1 s. Each round is measured in a row, in an order that changes from round \
         to round; the kernel's run-time statistics are off. A sample of the pipe is the fastest \
         of three runs of more than a second each.",
    );
    let others = programs_of_others();
    if others > 0 {
        part.note(format!(
            "{others} programs of others that are named `sched_switch` were loaded meanwhile, in \
             all parts of each round."
        ));
    }
    let statistics = fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").unwrap_or_default();
    if statistics.trim() != "0" {
        return Err("kernel.bpf_stats_enabled is on: it makes each program slower".into());
    }

    let mut all: Vec<Measured> = Vec::new();
    for load in &LOADS {
        if tool::find(load.program).is_none() {
            part.figure(
                Figure::not_measured(load.name, Unit::Ratio, tool::absent(load.program))
                    .aims_if(load.aim, ""),
            );
        } else {
            all.push(Measured {
                load,
                samples: BTreeMap::new(),
            });
        }
    }
    let mut order = [
        Watched::Bare,
        Watched::Agent,
        Watched::Empty,
        Watched::Clock,
    ];
    for round in 1..=rounds {
        run.say(&format!("round {round} of {rounds}"));
        // An aim of a few hundredths wants more samples than the rest.
        let loads = if round % 3 == 1 {
            Chosen::All
        } else {
            Chosen::WithAims
        };
        for watched in order {
            measure(&mut all, loads, watched, run.is_quick)?;
        }
        order.rotate_left(1);
        if round % 3 == 0 {
            order.reverse();
        }
    }

    let mut table = Table::new(
        "Medians",
        [
            ("load", Unit::Text),
            ("what is measured", Unit::Text),
            ("without", Unit::Microseconds),
            ("with", Unit::Microseconds),
            ("an empty program", Unit::Microseconds),
            ("the clock alone", Unit::Microseconds),
        ],
    );
    for measured in &all {
        let load = measured.load;
        table.row([
            load.command.into(),
            load.measured.into(),
            measured.median(Watched::Bare).into(),
            measured.median(Watched::Agent).into(),
            measured.median(Watched::Empty).into(),
            measured.median(Watched::Clock).into(),
        ]);
        part.figure(
            Figure::of(load.name, Unit::Ratio, &measured.ratios(Watched::Agent))
                .aims_if(load.aim, SWITCH_REASON),
        );
        if load.aim.is_some() {
            for (program, watched) in [
                ("an empty program", Watched::Empty),
                ("a program that only reads the clock", Watched::Clock),
            ] {
                part.figure(Figure::of(
                    format!("{}: {program} in place of the agent", load.name),
                    Unit::Ratio,
                    &measured.ratios(watched),
                ));
            }
        }
    }
    part.table(table);
    for load in &LOADS {
        if tool::find(load.program).is_some() {
            run.say(&format!("each program, under {}", load.name));
            part.table(programs::table(load, run.is_quick)?);
        }
    }
    Ok(part)
}

/// Why a switch costs more than the aim where it does.
const SWITCH_REASON: &str = "a pipe operation is two switches and two wakeups and little else; \
     two other programs were measured in the same rounds: an empty one shows what the hook itself \
     costs, which no program can be without, and one that only reads the clock shows how little \
     room the aim leaves";

/// Measures the loads while somebody is told of the switches, or nobody.
fn measure(
    all: &mut [Measured],
    loads: Chosen,
    watched: Watched,
    is_quick: bool,
) -> Result<(), Failure> {
    let agent = match watched {
        Watched::Agent => Some(Agent::start("ebpf", "")?),
        Watched::Bare | Watched::Empty | Watched::Clock => None,
    };
    let program = match watched {
        Watched::Empty => Some(layouts::attached(layouts::EMPTY)?),
        Watched::Clock => Some(layouts::attached(layouts::CLOCK)?),
        Watched::Bare | Watched::Agent => None,
    };
    // What starting it set off is over by then.
    thread::sleep(Duration::from_millis(500));
    for measured in all {
        let is_wanted = loads == Chosen::All && matches!(watched, Watched::Bare | Watched::Agent);
        if measured.load.aim.is_none() && !is_wanted {
            continue;
        }
        let took = measured.load.measure(is_quick)?;
        measured.samples.entry(watched).or_default().push(took);
    }
    drop((agent, program));
    Ok(())
}

/// How many programs that are named after the hook are loaded, and not ours:
/// the kernel frees those of the parts before this one a moment after they were
/// let go.
fn programs_of_others() -> usize {
    let count = || {
        loaded_programs()
            .flatten()
            .filter(|program| program.name_as_str() == Some("sched_switch"))
            .count()
    };
    for _ in 0..50 {
        if count() == 0 {
            return 0;
        }
        thread::sleep(Duration::from_millis(100));
    }
    count()
}

impl Figure {
    fn aims_if(self, aim: Option<Aim>, reason: &str) -> Self {
        match aim {
            Some(aim) => self.aims(aim, reason),
            None => self,
        }
    }
}
