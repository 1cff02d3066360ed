//! The run-time statistics of each program, as `bpftop` shows them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use aya::{
    programs::loaded_programs,
    sys::{Stats, enable_stats},
};

use crate::{
    agent::Agent,
    report::{Table, Unit},
    run::Failure,
};

/// The programs, in the order in which the agent loads them.
const NAMES: [&str; 7] = [
    "sched_switch",
    "sched_wakeup",
    "sched_wakeup_new",
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
    "all_tasks",
];

#[derive(Clone, Default)]
struct Program {
    name: String,
    time_ns: u64,
    runs: u64,
}

/// The programs of an agent, while a load runs.
pub(super) fn table(
    load: &str,
    run: impl FnOnce() -> Result<f64, Failure>,
) -> Result<Table, Failure> {
    let mut table = Table::new(
        &format!("Each program while {load} runs"),
        [
            ("program", Unit::Text),
            ("runs a second", Unit::Count),
            ("a run", Unit::Nanoseconds),
            ("of one CPU", Unit::Percent),
        ],
    );
    let others: BTreeSet<u32> = programs().into_keys().collect();
    let agent = Agent::start("ebpf", "")?;
    // The kernel counts while this is open, which itself adds some tens of
    // nanoseconds to each run.
    let statistics = enable_stats(Stats::RunTime)?;
    let (before, start) = (programs(), Instant::now());
    run()?;
    let (after, seconds) = (programs(), start.elapsed().as_secs_f64());
    drop(statistics);
    drop(agent);
    let ours: BTreeMap<u32, Program> = after
        .into_iter()
        .filter(|(id, _program)| !others.contains(id))
        .collect();
    let mut names = NAMES.into_iter();
    for (id, program) in ours {
        // The kernel keeps 15 characters of a name.
        let name = names.find(|name| name.starts_with(&program.name));
        let old = before.get(&id).cloned().unwrap_or_default();
        let runs = (program.runs - old.runs) as f64;
        let ns = (program.time_ns - old.time_ns) as f64;
        table.row([
            name.map_or(program.name, str::to_owned).into(),
            (runs / seconds).into(),
            (ns / runs).into(),
            (ns / (seconds * 1e7)).into(),
        ]);
    }
    Ok(table)
}

/// All loaded programs, by their IDs.
fn programs() -> BTreeMap<u32, Program> {
    loaded_programs()
        .flatten()
        .map(|program| {
            let found = Program {
                name: program.name_as_str().unwrap_or_default().to_owned(),
                time_ns: program.run_time().as_nanos() as u64,
                runs: program.run_count(),
            };
            (program.id(), found)
        })
        .collect()
}
