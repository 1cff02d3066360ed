//! The cost of the agent to programs that mostly switch.

mod loads;
mod ping_pong;
mod pipe;
mod programs;
mod watched;

use std::{fs, thread, time::Duration};

use aya::programs::loaded_programs;

use crate::{
    report::{Aim, Figure, Part, Table, Unit},
    run::{Failure, Run},
    tool,
};
use loads::LOADS;
pub(crate) use ping_pong::ping_pong;
use pipe::Pipe;
use watched::{Samples, Watched};

/// Why a pipe operation may take longer than the aim.
const PIPE_REASON: &str = "a pipe operation is two switches and two wakeups and little else; \
     two other programs were measured in the same rounds: an empty one shows what the hook itself \
     costs, which no program can be without, and one that only reads the clock shows how little \
     room the aim leaves";

pub(crate) fn run(run: &Run) -> Result<Part, Failure> {
    let mut part = Part::new(
        "What the agent costs on the switch path",
        "Programs that do little but switch, with and without a `collector run` whose managers \
         subscribe at 1 s, in an order that changes from round to round; the kernel's run-time \
         statistics are off. Of the pipe one run goes on for three rounds, and a sample is the \
         mean of the better one of two seconds.",
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
    let mut row = |command: &'static str, measured: &'static str, samples: &Samples| {
        table.row([
            command.into(),
            measured.into(),
            samples.median(Watched::Bare).into(),
            samples.median(Watched::Agent).into(),
            samples.median(Watched::Empty).into(),
            samples.median(Watched::Clock).into(),
        ]);
    };
    let is_there = |part: &mut Part, name: &str, program: &str| {
        let is_there = tool::find(program).is_some();
        if !is_there {
            part.figure(Figure::not_measured(
                name,
                Unit::Ratio,
                tool::absent(program),
            ));
        }
        is_there
    };
    let has_pipe = is_there(&mut part, pipe::NAME, pipe::PROGRAM);
    if has_pipe {
        let samples = pipe::measure(run)?;
        row(pipe::COMMAND, "an operation", &samples);
        part.figure(
            Figure::of(pipe::NAME, Unit::Ratio, &samples.ratios(Watched::Agent))
                .aims(Aim::AtMost(1.05), PIPE_REASON),
        );
        for (program, watched) in [
            ("an empty program", Watched::Empty),
            ("a program that only reads the clock", Watched::Clock),
        ] {
            part.figure(Figure::of(
                format!("{}: {program} in place of the agent", pipe::NAME),
                Unit::Ratio,
                &samples.ratios(watched),
            ));
        }
    }
    let mut loads = Vec::new();
    for load in &LOADS {
        if is_there(&mut part, load.name, load.program) {
            let samples = load.measure(run)?;
            row(load.command, load.measured, &samples);
            let ratios = samples.ratios(Watched::Agent);
            part.figure(Figure::of(load.name, Unit::Ratio, &ratios));
            loads.push(load);
        }
    }
    part.table(table);

    if has_pipe {
        run.say(&format!("each program, under {}", pipe::NAME));
        let pipe = Pipe::start()?;
        part.table(programs::table(pipe::NAME, || pipe.operation_us())?);
    }
    for load in loads {
        run.say(&format!("each program, under {}", load.name));
        part.table(programs::table(load.name, || load.took_us(run))?);
    }
    Ok(part)
}

/// The number of loaded programs with the name of the hook that are not ours: the
/// kernel frees the programs of earlier parts some time after their last reference
/// is dropped.
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
