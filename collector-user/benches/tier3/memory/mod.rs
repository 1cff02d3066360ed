//! The memory of the agent and its maps, and whether it grows.

mod churn;
mod maps;

use std::{thread, time::Duration};

use collector::source::bpf::map_bytes;

use crate::{
    agent::Agent,
    pid_max::PidMax,
    population::Population,
    process::status_mib,
    report::{Aim, Figure, Part, Table, Unit},
    run::{Failure, Run},
};

const MIB: f64 = 1_048_576.0;

/// Short, so that the details of all processes are soon read.
const FAST: &str = "metrics.process_stats.interval = \"100ms\"";

pub(crate) fn run(run: &Run) -> Result<Part, Failure> {
    let mut part = Part::new(
        "Memory",
        "Of the maps: what the kernel charges for each (`memlock` of its descriptor). Of the \
         agent: the resident set of a `collector run` with both managers.",
    );
    churned(run, &mut part)?;
    let by_formula = map_bytes(256, 4_194_304) as f64 / MIB;
    part.figure(
        Figure::of(
            "maps on 256 CPUs, by the formula",
            Unit::Mebibytes,
            &[by_formula],
        )
        .aims(Aim::AtMost(64.0), ""),
    );
    resident(run, &mut part, 2_000, 25.0)?;
    let many = run.choose(5_000, 50_000);
    match PidMax::at_least(65_536) {
        Err(error) => part.figure(
            Figure::not_measured(
                "agent, 50,000 processes",
                Unit::Mebibytes,
                format!("kernel.pid_max cannot be raised: {error}"),
            )
            .aims(Aim::AtMost(60.0), ""),
        ),
        Ok(pid_max) => {
            resident(run, &mut part, many, 60.0)?;
            drop(pid_max);
        }
    }
    Ok(part)
}

/// Memory before and after very many processes were created and exited.
fn churned(run: &Run, part: &mut Part) -> Result<(), Failure> {
    let processes = run.choose(50_000, 1_000_000);
    let agent = Agent::start("ebpf", "")?;
    let before = look(&agent)?;

    let name = "maps on this host";
    let total = before.maps.iter().map(|map| map.bytes).sum::<u64>() as f64 / MIB;
    part.figure(Figure::of(name, Unit::Mebibytes, &[total]).aims(Aim::AtMost(16.0), ""));
    let possible = maps::possible_cpus()?;
    let formula = map_bytes(possible, maps::pid_max()?) as f64 / MIB;
    part.figure(Figure::of(
        "the formula : what the kernel charges",
        Unit::Ratio,
        &[formula / total],
    ));
    let mut table = Table::new(
        "Maps",
        [
            ("map", Unit::Text),
            ("elements", Unit::Count),
            ("memory", Unit::Bytes),
        ],
    );
    for map in &before.maps {
        table.row([
            map.name.as_str().into(),
            map.elements.into(),
            map.bytes.into(),
        ]);
    }
    part.table(table);

    let mut seconds = 0.0;
    let mut after_a_burst = || -> Result<Look, Failure> {
        run.say(&format!("{processes} processes come and go"));
        seconds += churn::run(processes)?;
        // The next pass over all tasks trims the heap.
        thread::sleep(Duration::from_secs(12));
        look(&agent)
    };
    let after = after_a_burst()?;
    let again = after_a_burst()?;
    let mut table = Table::new(
        "Before and after very many processes came and went",
        [
            ("", Unit::Text),
            ("before", Unit::Mebibytes),
            ("after", Unit::Mebibytes),
            ("after as many again", Unit::Mebibytes),
        ],
    );
    table.row([
        "agent, resident".into(),
        before.rss.into(),
        after.rss.into(),
        again.rss.into(),
    ]);
    let sum = |look: &Look| look.maps.iter().map(|map| map.bytes).sum::<u64>() as f64 / MIB;
    table.row([
        "maps".into(),
        sum(&before).into(),
        sum(&after).into(),
        sum(&again).into(),
    ]);
    part.table(table);
    part.note(format!(
        "{processes} processes came and went, and as many again, in {seconds:.1} s, by a `clone` \
         that shares the memory, on all CPUs."
    ));
    part.figure(
        Figure::of(
            "growth of the agent by processes that are gone",
            Unit::Mebibytes,
            &[after.rss - before.rss],
        )
        .aims(
            Aim::AtMost(1.0),
            "the allocator keeps, once, what the events and the accounts of a burst took",
        ),
    );
    part.figure(
        Figure::of(
            "growth of the agent by as many again",
            Unit::Mebibytes,
            &[again.rss - after.rss],
        )
        .aims(
            Aim::AtMost(0.25),
            "what the allocator keeps depends on how the events of a burst come",
        ),
    );
    part.figure(
        Figure::of(
            "thread records that stayed in use",
            Unit::Count,
            &[again.records as f64 - before.records as f64],
        )
        .aims(Aim::AtMost(16.0), "other processes began on this machine"),
    );
    Ok(())
}

struct Look {
    rss: f64,
    maps: Vec<maps::Map>,
    records: usize,
}

fn look(agent: &Agent) -> Result<Look, Failure> {
    let maps = maps::of(agent.pid())?;
    Ok(Look {
        rss: status_mib(agent.pid(), "VmRSS").ok_or("the agent is gone")?,
        records: maps::records_in_use(&maps)?,
        maps,
    })
}

/// The agent with this many processes.
fn resident(run: &Run, part: &mut Part, processes: usize, aim: f64) -> Result<(), Failure> {
    const LOOK_UPS_A_TICK: usize = 512;
    run.say(&format!("the agent with {processes} processes"));
    let population = Population::new(processes, 0);
    let agent = Agent::start("ebpf", FAST)?;
    let ticks = (processes / LOOK_UPS_A_TICK) as u32;
    // The details from `/proc`, and a pass over all tasks.
    let settling = Duration::from_secs(run.choose(2, 12));
    thread::sleep(Duration::from_millis(100) * 2 * ticks + settling);
    let rss = status_mib(agent.pid(), "VmRSS").ok_or("the agent is gone")?;
    let peak = status_mib(agent.pid(), "VmHWM").ok_or("the agent is gone")?;
    drop((agent, population));
    let processes = crate::report::with_separators(&processes.to_string());
    part.figure(
        Figure::of(
            format!("agent, {processes} processes"),
            Unit::Mebibytes,
            &[rss],
        )
        .aims(
            Aim::AtMost(aim),
            "each process takes a row, an account and a record's state, 650 bytes together, and \
             its texts; the maps that are mapped take 10 MiB",
        ),
    );
    part.note(format!(
        "With {processes} processes the agent had {peak:.1} MiB at its peak, while it loaded the \
         programs."
    ));
    Ok(())
}
