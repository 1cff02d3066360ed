//! The cost of charging a task at each switch, by the map layout of its counter.

use std::collections::BTreeMap;

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{ArrayOfMaps, HashMap, MapData},
    programs::{BtfTracePoint, loaded_programs},
    sys::{Stats, enable_stats},
};

use crate::{
    load,
    report::{Aim, Figure, Part, Spread, Table, Unit},
    run::{Failure, Run},
    switch::ping_pong,
};

/// The programs of `collector-ebpf/src/layouts`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("layouts.bpf.o");

/// The layouts: the name of the program, and a description. The first two are the
/// references for the others.
const LAYOUTS: [(&str, &str); 10] = [
    (EMPTY, "no work at all"),
    (CLOCK, "the clock, to a per-CPU slot"),
    ("dense_array", "an array by thread number, mapped"),
    (
        "recent_record",
        "an array of records, the place remembered by thread number: the agent's",
    ),
    (
        "task_storage",
        "storage that the kernel keeps with the task",
    ),
    ("hash_tid", "a hash by thread number"),
    (
        "hash_record",
        "an array of records, the place in a hash by the task's address",
    ),
    ("percpu_hash", "a per-CPU hash by process"),
    (
        "generations",
        "a hash for each CPU and each of two generations, by process",
    ),
    (
        "lru_hash_tid",
        "a hash by thread number that forgets the least recently used",
    ),
];

/// Does nothing.
pub(crate) const EMPTY: &str = "empty";
/// Reads the clock into a per-CPU slot.
pub(crate) const CLOCK: &str = "clock";

/// The agent's own program: it charges, counts switches, faults and waits, and
/// fills three histograms.
const AGENT: &str = "sched_switch";

/// The number of elements, as in the other maps.
const PLACES: u32 = 1 << 15;

pub(crate) fn run(run: &Run) -> Result<Part, Failure> {
    let rounds = run.choose(5, 21);
    let turns = run.choose(20_000, 40_000);
    let mut part = Part::new(
        "Where the counter of a task is",
        "One program on `sched_switch` at a time, which charges the time on the CPU to the task \
         that leaves it, while two threads of one CPU pass a byte to and fro: by the kernel's \
         run-time statistics, and without them by the clock. All layouts in turn in each round.",
    );
    let btf = Btf::from_sys_fs()?;
    let mut ebpf = object()?;
    let _inner = fill_generations(&mut ebpf)?;
    for (name, _what) in LAYOUTS {
        tracepoint(&mut ebpf, name)?.load("sched_switch", &btf)?;
    }
    let mut measured: BTreeMap<&str, Runs> = BTreeMap::new();
    for round in 1..=rounds {
        run.say(&format!("round {round} of {rounds}"));
        let bare = ping_pong(turns);
        for (name, _what) in LAYOUTS {
            let link = tracepoint(&mut ebpf, name)?.attach()?;
            measured.entry(name).or_default().add(name, turns, bare)?;
            tracepoint(&mut ebpf, name)?.detach(link)?;
        }
        let accountant = load()?;
        measured.entry(AGENT).or_default().add(AGENT, turns, bare)?;
        drop(accountant);
    }
    report(&mut part, &measured);
    Ok(part)
}

/// The measurements of one program, one per round.
#[derive(Debug, Default)]
struct Runs {
    /// Nanoseconds per run, including the cost of the statistics.
    ns: Vec<f64>,
    /// The additional time of a turn, relative to no program.
    turn: Vec<f64>,
}

impl Runs {
    /// Measures the program that is attached.
    fn add(&mut self, name: &str, turns: u32, bare: f64) -> Result<(), Failure> {
        self.turn.push(ping_pong(turns) / bare);
        let statistics = enable_stats(Stats::RunTime)?;
        let (time_before, runs_before) = run_time(name);
        ping_pong(turns);
        let (time, runs) = run_time(name);
        drop(statistics);
        self.ns
            .push((time - time_before) as f64 / (runs - runs_before) as f64);
        Ok(())
    }
}

fn report(part: &mut Part, measured: &BTreeMap<&str, Runs>) {
    // Net of the empty program and in clocks, round by round: what disturbs a
    // round disturbs all of it.
    let in_clocks = |name: &str| -> Vec<f64> {
        let of = |name: &str| measured.get(name).map_or(&[][..], |runs| &runs.ns);
        of(name)
            .iter()
            .zip(of(EMPTY).iter().zip(of(CLOCK)))
            .map(|(ns, (empty, clock))| (ns - empty) / (clock - empty))
            .collect()
    };
    let median = |samples: &[f64]| Spread::of(samples).map(|spread| spread.median);
    part.figure(
        Figure::of(
            "all that the agent does at a switch, in readings of the clock to a per-CPU slot",
            Unit::Ratio,
            &in_clocks(AGENT),
        )
        .aims(
            Aim::AtMost(2.0),
            "three histograms cost as much as the charge itself",
        ),
    );
    let mut table = Table::new(
        "Programs on `sched_switch`",
        [
            ("program", Unit::Text),
            ("a run", Unit::Nanoseconds),
            ("net", Unit::Ratio),
            ("a turn", Unit::Ratio),
            ("where the counter is", Unit::Text),
        ],
    );
    let agent = (AGENT, "the agent's program, with all that it counts");
    for (name, what) in LAYOUTS.into_iter().chain([agent]) {
        let Some(runs) = measured.get(name) else {
            continue;
        };
        table.row([
            name.into(),
            median(&runs.ns).into(),
            median(&in_clocks(name)).into(),
            median(&runs.turn).into(),
            what.into(),
        ]);
    }
    part.table(table);
    part.note(
        "a run: the cost of the statistics included. net: less the empty program, in units of \
         the program that only reads the clock. a turn: the time of one turn beside that without \
         any program, statistics off; two switches.",
    );
}

fn object() -> Result<Ebpf, Failure> {
    Ok(EbpfLoader::new()
        // aya has no type for task storage, which only programs use.
        .allow_unsupported_maps()
        .load(OBJECT)?)
}

/// An attached program of the layouts.
pub(crate) fn attached(name: &str) -> Result<Ebpf, Failure> {
    let mut ebpf = object()?;
    let program = tracepoint(&mut ebpf, name)?;
    program.load("sched_switch", &Btf::from_sys_fs()?)?;
    program.attach()?;
    Ok(ebpf)
}

fn tracepoint<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut BtfTracePoint, Failure> {
    let program = ebpf
        .program_mut(name)
        .ok_or_else(|| format!("there is no program {name}"))?;
    Ok(program.try_into()?)
}

type Generations = ArrayOfMaps<MapData, HashMap<MapData, u32, [u64; 3]>>;

/// Creates the two maps of each CPU, which the outer map keeps alive.
fn fill_generations(ebpf: &mut Ebpf) -> Result<Generations, Failure> {
    let outer = ebpf.take_map("GENERATIONS").ok_or("a map is missing")?;
    let mut outer: Generations = outer.try_into()?;
    let cpus = aya::util::nr_cpus().map_err(|(path, error)| format!("{path}: {error}"))?;
    for index in 0..cpus as u32 * 2 {
        outer.set(index, &HashMap::create(PLACES, 0)?, 0)?;
    }
    Ok(outer)
}

/// The run time in ns and the number of runs of the newest program with a name.
fn run_time(name: &str) -> (u64, u64) {
    loaded_programs()
        .flatten()
        .filter(|program| program.name_as_str() == Some(name))
        .max_by_key(aya::programs::ProgramInfo::id)
        .map_or((0, 0), |program| {
            (program.run_time().as_nanos() as u64, program.run_count())
        })
}
