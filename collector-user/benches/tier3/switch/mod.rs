//! What the agent costs programs that do little but switch.

mod loads;
mod ping_pong;
mod programs;

use std::{fs, thread, time::Duration};

use aya::programs::loaded_programs;

use crate::{
    agent::Agent,
    report::{Aim, Figure, Part, Spread, Table, Unit},
    run::{Failure, Run},
    tool,
};
use loads::{LOADS, Load};
pub(crate) use ping_pong::ping_pong;

/// The measurements of one load, in its own unit.
struct Pairs {
    load: &'static Load,
    bare: Vec<f64>,
    watched: Vec<f64>,
}

pub(crate) fn run(run: &Run) -> Result<Part, Failure> {
    let rounds = run.choose(2, 11);
    let mut part = Part::new(
        "What the agent costs on the switch path",
        "Programs that do little but switch, with and without a `collector run` whose managers \
         subscribe at 1 s. Each pair is measured in a row, every other one in reverse order; the \
         kernel's run-time statistics are off.",
    );
    if let Some(others) = attached_by_others() {
        part.note(format!(
            "{others} programs of others were attached to `sched_switch` meanwhile, in both \
             halves of each pair."
        ));
    }
    let statistics = fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").unwrap_or_default();
    if statistics.trim() != "0" {
        return Err("kernel.bpf_stats_enabled is on: it makes each program slower".into());
    }

    let mut all: Vec<Pairs> = Vec::new();
    for load in &LOADS {
        if tool::find(load.program).is_none() {
            part.figure(
                Figure::not_measured(load.name, Unit::Ratio, tool::absent(load.program))
                    .aims_if(load.aim, ""),
            );
        } else {
            all.push(Pairs {
                load,
                bare: Vec::new(),
                watched: Vec::new(),
            });
        }
    }
    for round in 1..=rounds {
        run.say(&format!("pair {round} of {rounds}"));
        let halves = if round % 2 == 0 {
            [true, false]
        } else {
            [false, true]
        };
        for is_watched in halves {
            let agent = is_watched.then(|| Agent::start("ebpf", "")).transpose()?;
            // What starting it set off is over by then.
            thread::sleep(Duration::from_millis(500));
            for pairs in &mut all {
                let took = pairs.load.measure(run.is_quick)?;
                let samples = if is_watched {
                    &mut pairs.watched
                } else {
                    &mut pairs.bare
                };
                samples.push(took);
            }
            drop(agent);
        }
    }

    let mut table = Table::new(
        "Medians",
        [
            ("load", Unit::Text),
            ("what is measured", Unit::Text),
            ("without", Unit::Microseconds),
            ("with", Unit::Microseconds),
        ],
    );
    for pairs in &all {
        let median = |samples: &[f64]| Spread::of(samples).map(|spread| spread.median);
        table.row([
            pairs.load.command.into(),
            pairs.load.measured.into(),
            median(&pairs.bare).into(),
            median(&pairs.watched).into(),
        ]);
        let each = pairs.watched.iter().zip(&pairs.bare);
        let ratios: Vec<f64> = each.map(|(with, without)| with / without).collect();
        part.figure(
            Figure::of(pairs.load.name, Unit::Ratio, &ratios)
                .aims_if(pairs.load.aim, SWITCH_REASON),
        );
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
const SWITCH_REASON: &str = "a pipe operation is two switches and two wakeups and little else, \
     and the program on sched_switch runs for each; the table below has its time";

/// How many programs that are not ours are attached to the hook, if any.
fn attached_by_others() -> Option<usize> {
    let count = loaded_programs()
        .flatten()
        .filter(|program| program.name_as_str() == Some("sched_switch"))
        .count();
    (count > 0).then_some(count)
}

impl Figure {
    fn aims_if(self, aim: Option<Aim>, reason: &str) -> Self {
        match aim {
            Some(aim) => self.aims(aim, reason),
            None => self,
        }
    }
}
