//! A reading of `cpu_stats`: by the program that copies the kernel's counters, and
//! from `/proc/stat`.

use std::{sync::Arc, time::Instant};

use collector::{
    collectors::{Collector, ebpf, procfs},
    metric::{CpuStats, Reading as _},
    source::{Clock, Sources, SystemClock},
};

use crate::{
    load,
    report::{Figure, Part, Table, Unit},
    run::{Failure, Run},
};

pub(crate) fn run(run: &Run) -> Result<Part, Failure> {
    let rounds = run.choose(200, 2_000);
    let mut part = Part::new(
        "A reading of cpu_stats",
        "Both collectors in turn, each through a tick of its own. `/proc/stat` is held open, as \
         in the agent.",
    );
    let accountant = load()?;
    if !accountant.has_cpu_stats() {
        return Err("the program read_cpus does not run here: `collector doctor` says why".into());
    }
    let mut programs = ebpf::CpuStatsCollector::new(accountant);
    let mut file = procfs::ProcfsCpuStats;
    let sources = Sources::live();
    let (mut by_programs, mut by_file) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        by_programs.push(timed(&mut programs, &sources)?);
        by_file.push(timed(&mut file, &sources)?);
    }
    let ratios: Vec<f64> = by_file
        .iter()
        .zip(&by_programs)
        .map(|(file, programs)| file / programs)
        .collect();
    let mut table = Table::new(
        "One reading",
        [
            ("program", Unit::Microseconds),
            ("/proc/stat", Unit::Microseconds),
        ],
    );
    let median = |samples: &[f64]| crate::report::Spread::of(samples).map(|spread| spread.median);
    table.row([median(&by_programs).into(), median(&by_file).into()]);
    part.table(table);
    part.figure(Figure::of("/proc/stat : program", Unit::Ratio, &ratios));
    part.note(
        "How this grows with the number of CPUs is told in \
         [decision 21](decisions/0021-the-times-of-the-cpus-without-proc-stat.md).",
    );
    Ok(part)
}

/// Microseconds that a reading takes.
fn timed(
    collector: &mut impl Collector<Reading = CpuStats>,
    sources: &Sources,
) -> Result<f64, Failure> {
    // As on a bus without a subscriber of the processes.
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let tick = sources.tick_for(&clock, clock.now(), vec![CpuStats::METRIC.name]);
    let start = Instant::now();
    let reading = collector.collect(&tick)?;
    let took = start.elapsed();
    assert!(reading.total.user_ns > Some(0), "it is a reading");
    Ok(took.as_secs_f64() * 1e6)
}
