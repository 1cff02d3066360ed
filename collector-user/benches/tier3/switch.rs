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

use crate::{load, statistics::median};

pub(crate) fn run(is_quick: bool) {
    let rounds = if is_quick { 5 } else { 11 };
    let turns = if is_quick { 50_000 } else { 100_000 };

    println!(
        "two threads of one CPU pass a byte to and fro, in turn with and without the programs"
    );
    let mut ratios: Vec<f64> = Vec::new();
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let bare = ping_pong(turns);
        let scheduler = load();
        let watched = ping_pong(turns);
        drop(scheduler);
        ratios.push(watched / bare);
        without.push(bare);
        with.push(watched);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "a turn: {:.0} ns without, {:.0} ns with; ratio {:.2} (from {:.2} to {:.2} in {rounds} pairs)",
        median(&mut without),
        median(&mut with),
        median(&mut ratios.clone()),
        ratios.first().copied().unwrap_or(f64::NAN),
        ratios.last().copied().unwrap_or(f64::NAN),
    );

    println!(
        "\neach program, by the kernel's run-time statistics, which add some tens of ns a run"
    );
    println!("{:<22} {:>10} {:>8}", "program", "runs", "ns/run");
    let scheduler = load();
    let statistics = enable_stats(Stats::RunTime).expect("root may turn them on");
    let before = run_times();
    ping_pong(turns);
    let after = run_times();
    drop(statistics);
    for (id, (name, time, runs)) in after {
        let (_, time_before, runs_before) = before.get(&id).cloned().unwrap_or_default();
        let runs = runs - runs_before;
        if runs > 0 && name.starts_with("sched_") {
            let ns = (time - time_before) as f64 / runs as f64;
            println!("{name:<22} {runs:>10} {ns:>8.0}");
        }
    }
    drop(scheduler);
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

/// Nanoseconds a turn: four switches.
fn ping_pong(turns: u32) -> f64 {
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
