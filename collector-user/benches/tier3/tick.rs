//! A tick of `process_stats`, compared with one pass over `/proc`.

use std::{
    fs,
    io::Read as _,
    thread,
    time::{Duration, Instant},
};

use collector::source::Sources;

use crate::{
    load,
    pid_max::PidMax,
    population::Population,
    report::{Aim, Figure, Part, Spread, Table, Unit},
    run::{Failure, Run},
};

/// Processes that run briefly every ten milliseconds.
const ACTIVE: usize = 100;

/// The value of `pid_max` for the largest population and everything else.
const PID_MAX: u64 = 65_536;

/// Ticks that are not counted, at the start and after a change of the interval.
const WARM_UP: usize = 3;

/// The cost of one population, in microseconds.
struct Costs {
    idle: usize,
    slow: Vec<f64>,
    fast: Vec<f64>,
    /// For each of the ticks.
    opens: Vec<f64>,
    passes: Vec<f64>,
}

impl Costs {
    /// Adds a further measurement of the same population.
    fn add(&mut self, other: Self) {
        self.slow.extend(other.slow);
        self.fast.extend(other.fast);
        self.opens.extend(other.opens);
        self.passes.extend(other.passes);
    }
}

pub(crate) fn run(run: &Run) -> Result<Part, Failure> {
    let mut part = Part::new(
        "A tick of process_stats",
        "Of many processes 100 run for some microseconds every 10 ms, the others sleep. The \
         programs run in the process that measures; a pass opens, reads and closes `stat`, \
         `status` and `io` of every process.",
    );
    let mut populations = vec![1_000, 5_000, 20_000, 50_000];
    // The same for all populations, because the number of records depends on it.
    let pid_max = PidMax::at_least(PID_MAX);
    if let Err(error) = &pid_max {
        populations.retain(|&idle| idle <= 20_000);
        part.note(format!(
            "50,000 processes are left out: kernel.pid_max cannot be raised ({error})."
        ));
    }
    // Ascending and descending: a machine that becomes slower or faster meanwhile
    // does so for small and for large populations.
    let mut all: Vec<Costs> = Vec::new();
    for &idle in &populations {
        all.push(measure(run, idle)?);
    }
    for (costs, &idle) in all.iter_mut().zip(&populations).rev() {
        costs.add(measure(run, idle)?);
    }
    drop(pid_max);

    part.table(table(&all));
    part.figure(pass_to_tick(&all));
    part.figure(growth("at 1 s", &all, |costs| &costs.slow));
    part.figure(growth("at 100 ms", &all, |costs| &costs.fast));
    let opens: Vec<f64> = all.iter().flat_map(|costs| costs.opens.clone()).collect();
    part.figure(
        Figure::of("files opened by a tick", Unit::Count, &opens).aims(
            Aim::AtMost(0.0),
            "other processes began on this machine while it was measured, and what only /proc \
             tells of them was looked up",
        ),
    );
    part.note(
        "At a pace: the median of the quicker half of the ticks, since what else happens on a \
         shared machine only adds to them; the median and the slowest of all stand beside it. So \
         of the passes.",
    );
    part.note(
        "Every 10 s a tick also goes through all tasks, for memory and I/O: it is the slowest.",
    );
    Ok(part)
}

fn table(all: &[Costs]) -> Table {
    let mut table = Table::new(
        "Ticks and passes",
        [
            ("idle", Unit::Count),
            ("at 1 s", Unit::Microseconds),
            ("median", Unit::Microseconds),
            ("slowest", Unit::Microseconds),
            ("at 100 ms", Unit::Microseconds),
            ("median", Unit::Microseconds),
            ("slowest", Unit::Microseconds),
            ("a pass", Unit::Milliseconds),
            ("pass : tick", Unit::Ratio),
        ],
    );
    for costs in all {
        let (slow, fast) = (Spread::of(&costs.slow), Spread::of(&costs.fast));
        let pass = median(&quicker_half(&costs.passes));
        let tick = median(&quicker_half(&costs.slow));
        table.row([
            costs.idle.into(),
            tick.into(),
            slow.map(|spread| spread.median).into(),
            slow.map(|spread| spread.max).into(),
            median(&quicker_half(&costs.fast)).into(),
            fast.map(|spread| spread.median).into(),
            fast.map(|spread| spread.max).into(),
            (pass / 1e3).into(),
            (pass / tick).into(),
        ]);
    }
    table
}

/// The number of ticks that cost as much as one pass, with 20,000 processes.
fn pass_to_tick(all: &[Costs]) -> Figure {
    const IDLE: usize = 20_000;
    let name = "a pass : a tick, 20,000 idle";
    let figure = match all.iter().find(|costs| costs.idle == IDLE) {
        None => Figure::not_measured(name, Unit::Ratio, "the population was left out"),
        Some(costs) => {
            let pass = median(&quicker_half(&costs.passes));
            let ticks = quicker_half(&costs.slow);
            let ratios: Vec<f64> = ticks.iter().map(|tick| pass / tick).collect();
            Figure::of(name, Unit::Ratio, &ratios)
        }
    };
    figure.aims(
        Aim::AtLeast(1000.0),
        "a tick waits for memory that has left the caches; other load on the machine makes it \
         slower than it makes the pass",
    )
}

/// The cost of a tick with 50,000 processes relative to 1,000.
fn growth(pace: &str, all: &[Costs], ticks: fn(&Costs) -> &Vec<f64>) -> Figure {
    let name = format!("a tick {pace}, 50,000 idle : 1,000 idle");
    let of = |idle| all.iter().find(|costs| costs.idle == idle).map(ticks);
    let figure = match of(1_000).zip(of(50_000)) {
        None => Figure::not_measured(name, Unit::Ratio, "a population was left out"),
        Some((few, many)) => {
            let few = median(&quicker_half(few));
            let many = quicker_half(many);
            let ratios: Vec<f64> = many.iter().map(|tick| tick / few).collect();
            Figure::of(name, Unit::Ratio, &ratios)
        }
    };
    figure.aims(
        Aim::AtMost(1.2),
        "the same is done for the same number of rows, but accounts and rows are spread over more \
         memory, and have left the caches by the next tick: a row takes up to twice as long",
    )
}

/// The faster half of the ticks. Other load on a shared machine only adds to the
/// time of a tick, and may last longer than all ticks of one population.
fn quicker_half(ticks: &[f64]) -> Vec<f64> {
    let mut ticks = ticks.to_vec();
    ticks.sort_by(f64::total_cmp);
    ticks.truncate(ticks.len().div_ceil(2));
    ticks
}

fn median(samples: &[f64]) -> f64 {
    Spread::of(samples).map_or(f64::NAN, |spread| spread.median)
}

fn measure(run: &Run, idle: usize) -> Result<Costs, Failure> {
    let rounds = run.choose(1, 2);
    let (slow_ticks, fast_ticks) = run.choose((4, 8), (10, 100));
    run.say(&format!("{idle} processes"));
    let accountant = load()?;
    let population = Population::new(idle, ACTIVE);
    let sources = Sources::live();
    // The first ticks read details of new processes from `/proc`.
    loop {
        let before = sources.stats().opens;
        accountant.process_stats(&sources.tick())?;
        if sources.stats().opens == before {
            break;
        }
    }
    // Keeps the previous reading, as the cache of the bus does.
    let mut kept = None;
    let mut opens = Vec::new();
    let mut tick_after = |pace: Duration| -> Result<f64, Failure> {
        thread::sleep(pace);
        let before = sources.stats().opens;
        let tick = sources.tick();
        let start = Instant::now();
        let reading = accountant.process_stats(&tick)?;
        let took = start.elapsed();
        assert!(reading.processes.len() > idle, "all are shown");
        kept = Some(reading);
        opens.push((sources.stats().opens - before) as f64);
        Ok(took.as_secs_f64() * 1e6)
    };
    let (mut slow, mut fast) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (pace, count, ticks) in [
            (Duration::from_secs(1), slow_ticks, &mut slow),
            (Duration::from_millis(100), fast_ticks, &mut fast),
        ] {
            for _ in 0..WARM_UP {
                tick_after(pace)?;
            }
            for _ in 0..count {
                ticks.push(tick_after(pace)?);
            }
        }
    }
    drop(kept);
    let passes = (0..3).map(|_| proc_pass().as_secs_f64() * 1e6).collect();
    drop(population);
    Ok(Costs {
        idle,
        slow,
        fast,
        opens,
        passes,
    })
}

/// Opens, reads and closes `stat`, `status` and `io` of every process.
fn proc_pass() -> Duration {
    let mut buffer = vec![0; 16 << 10];
    let start = Instant::now();
    for entry in fs::read_dir("/proc").expect("it can be listed").flatten() {
        if !entry
            .file_name()
            .as_encoded_bytes()
            .first()
            .is_some_and(u8::is_ascii_digit)
        {
            continue;
        }
        for file in ["stat", "status", "io"] {
            // A process may have exited.
            if let Ok(mut file) = fs::File::open(entry.path().join(file)) {
                let _read = file.read(&mut buffer);
            }
        }
    }
    start.elapsed()
}
