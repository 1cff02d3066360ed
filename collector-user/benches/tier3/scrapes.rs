//! The cost of a scrape of `/metrics` to the agent.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    agent::Agent,
    population::Population,
    process::cpu_ns,
    report::{Aim, Figure, Part, Table, Unit},
    run::{Failure, Run},
    scrape::get,
};

const PROCESSES: usize = 2_000;
const ACTIVE: usize = 100;

/// Once a second, so that each scrape has new readings: a second scrape before the
/// next reading gets the same text.
const PACE: Duration = Duration::from_secs(1);

pub(crate) fn run(run: &Run) -> Result<Part, Failure> {
    let mut part = Part::new(
        "A scrape",
        "Of 2,000 processes 100 are active. The process clock of the agent over some seconds with \
         a scrape of /metrics in each, less that over as many seconds without, by scrape.",
    );
    let (rounds, seconds) = run.choose((3, 4), (8, 10));
    let population = Population::new(PROCESSES - ACTIVE, ACTIVE);
    let agent = Agent::start("ebpf", "")?;
    run.say("settling");
    let mut bytes = follow(&agent, 5, true)?.bytes;
    let (mut quiet, mut scrapes) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        run.say(&format!("round {}", round + 1));
        let without = follow(&agent, seconds, false)?;
        let with = follow(&agent, seconds, true)?;
        bytes = with.bytes;
        quiet.push(without.cpu_ms);
        scrapes.push(with.cpu_ms - without.cpu_ms);
    }
    drop(population);
    let mut table = Table::new(
        "The agent with 2,000 processes",
        [
            ("a second without scrapes", Unit::Milliseconds),
            ("a scrape more", Unit::Milliseconds),
        ],
    );
    for (quiet, scrape) in quiet.iter().zip(&scrapes) {
        table.row([(*quiet).into(), (*scrape).into()]);
    }
    part.table(table);
    part.figure(
        Figure::of(
            "CPU time of a scrape, 2,000 processes",
            Unit::Milliseconds,
            &scrapes,
        )
        .aims(
            Aim::AtMost(1.0),
            "what collecting costs differs from second to second, and a scrape is the difference",
        ),
    );
    part.note(format!("The text has {} KiB.", bytes / 1024));
    Ok(part)
}

struct Cost {
    /// Per second.
    cpu_ms: f64,
    /// Of the last response.
    bytes: usize,
}

fn follow(agent: &Agent, seconds: u32, scrapes: bool) -> Result<Cost, Failure> {
    let (before, start) = (cpu_ns(agent.pid())?, Instant::now());
    let mut bytes = 0;
    for second in 1..=seconds {
        if scrapes {
            bytes = get(&agent.address, "/metrics")?.len();
        }
        thread::sleep((PACE * second).saturating_sub(start.elapsed()));
    }
    let used = cpu_ns(agent.pid())? - before;
    Ok(Cost {
        cpu_ms: used as f64 / 1e6 / f64::from(seconds),
        bytes,
    })
}
