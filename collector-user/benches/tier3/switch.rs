//! What the programs cost on the switch path.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Write as _},
    thread,
    time::Instant,
};

use aya::{
    programs::loaded_programs,
    sys::{Stats, enable_stats},
};

use crate::{
    load,
    report::{Aim, Figure, Part, Table, Unit},
    run::{Failure, Run},
};

pub(crate) fn run(run: &Run) -> Result<Part, Failure> {
    let rounds = run.choose(5, 11);
    let turns = run.choose(50_000, 100_000);
    let mut part = Part::new(
        "What the programs cost on the switch path",
        "With and without the programs, in turn.",
    );
    let mut ratios: Vec<f64> = Vec::new();
    for round in 1..=rounds {
        run.say(&format!("pair {round} of {rounds}"));
        let bare = ping_pong(turns);
        let scheduler = load()?;
        let watched = ping_pong(turns);
        drop(scheduler);
        ratios.push(watched / bare);
    }
    part.figure(
        Figure::of(
            "two threads of one CPU pass a byte to and fro",
            Unit::Ratio,
            &ratios,
        )
        .aims(Aim::AtMost(1.05), "not known"),
    );

    let mut table = Table::new(
        "Each program, by the kernel's run-time statistics",
        [
            ("program", Unit::Text),
            ("runs", Unit::Count),
            ("a run", Unit::Nanoseconds),
        ],
    );
    let scheduler = load()?;
    let statistics = enable_stats(Stats::RunTime)?;
    let before = run_times();
    ping_pong(turns);
    let after = run_times();
    drop(statistics);
    drop(scheduler);
    for (id, (name, time, runs)) in after {
        let (_, time_before, runs_before) = before.get(&id).cloned().unwrap_or_default();
        let runs = runs - runs_before;
        if runs > 0 && name.starts_with("sched_") {
            let ns = (time - time_before) as f64 / runs as f64;
            table.row([name.into(), runs.into(), ns.into()]);
        }
    }
    part.table(table);
    Ok(part)
}

/// The name, the run time in ns and the runs of each loaded program, by its
/// number.
fn run_times() -> BTreeMap<u32, (String, u64, u64)> {
    loaded_programs()
        .flatten()
        .map(|program| {
            let name = program.name_as_str().unwrap_or_default().to_owned();
            let time = program.run_time().as_nanos() as u64;
            (program.id(), (name, time, program.run_count()))
        })
        .collect()
}

/// Nanoseconds a turn: two switches.
pub(crate) fn ping_pong(turns: u32) -> f64 {
    let pipe = || -> (File, File) {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe can be made");
        (File::from(reader), File::from(writer))
    };
    let (mut ping_read, mut ping_write) = pipe();
    let (mut pong_read, mut pong_write) = pipe();
    let other = thread::spawn(move || {
        pin();
        let mut byte = [0];
        while ping_read.read(&mut byte).expect("it is open") == 1 {
            pong_write.write_all(&byte).expect("it is open");
        }
    });
    let turn = thread::spawn(move || {
        pin();
        let mut byte = [0];
        let start = Instant::now();
        for _ in 0..turns {
            ping_write.write_all(&byte).expect("it is open");
            pong_read.read_exact(&mut byte).expect("it is open");
        }
        start.elapsed().as_nanos() as f64 / f64::from(turns)
    });
    let took = turn.join().expect("it does not panic");
    other.join().expect("it does not panic");
    took
}

/// Keeps this thread on the first CPU.
fn pin() {
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(0);
    rustix::thread::sched_setaffinity(None, &cpus).expect("there is a first CPU");
}
