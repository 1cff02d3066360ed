//! The agent compared with other programs that monitor processes.

mod calls;
mod peer;

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    population::Population,
    process::{cpu_ns, status_mib},
    report::{Cell, Part, Table, Unit},
    run::{Failure, Run},
    scrape::get,
    tool,
};
use peer::{Peer, Started, peers};

const PROCESSES: usize = 2_000;
const ACTIVE: usize = 100;
const PACE: Duration = Duration::from_secs(1);

pub(crate) fn run(run: &Run) -> Result<Part, Failure> {
    let mut part = Part::new(
        "Beside others",
        "What watching 2,000 processes at 1 s takes, 100 of them active: the process clock of \
         each program, its system calls, and its resident set. Who serves Prometheus is scraped \
         at 1 s.",
    );
    let seconds = run.choose(3, 10);
    let mut table = Table::new(
        "Watching 2,000 processes at 1 s",
        [
            ("program", Unit::Text),
            ("what of processes", Unit::Text),
            ("CPU a second", Unit::Milliseconds),
            ("opens a second", Unit::Count),
            ("calls a second", Unit::Count),
            ("resident", Unit::Mebibytes),
        ],
    );
    let population = Population::new(PROCESSES - ACTIVE, ACTIVE);
    for peer in peers() {
        if peer.program.is_some_and(|name| tool::find(name).is_none()) {
            let absent: Cell = "not installed".into();
            let unknown = || Cell::Unknown;
            table.row([
                peer.name.into(),
                absent,
                unknown(),
                unknown(),
                unknown(),
                unknown(),
            ]);
            continue;
        }
        run.say(peer.name);
        let cost = measure(&peer, run.choose(2, 8), seconds)?;
        table.row([
            peer.name.into(),
            peer.what.into(),
            cost.cpu_ms.into(),
            cost.calls.map(|calls| calls.opens).into(),
            cost.calls.map(|calls| calls.all).into(),
            cost.rss.into(),
        ]);
    }
    drop(population);
    part.table(table);
    part.note("System calls are counted by `perf stat`, in some seconds of their own.");
    Ok(part)
}

struct Cost {
    cpu_ms: f64,
    calls: Option<calls::Calls>,
    rss: Option<f64>,
}

fn measure(peer: &Peer, settling: u32, seconds: u32) -> Result<Cost, Failure> {
    let started = (peer.start)()?;
    // Until it listens, and has finished its start.
    follow(&started, settling);
    let pid = started.pid();
    let (before, start) = (cpu_ns(pid)?, Instant::now());
    follow(&started, seconds);
    let used = cpu_ns(pid)? - before;
    let cpu_ms = used as f64 / 1e6 / start.elapsed().as_secs_f64();
    let counter = calls::count(pid, seconds.min(4));
    follow(&started, seconds.min(4) + 1);
    Ok(Cost {
        cpu_ms,
        calls: counter.and_then(calls::Counter::finish),
        rss: status_mib(pid, "VmRSS"),
    })
}

/// Waits this number of seconds, and scrapes once per second.
fn follow(started: &Started, seconds: u32) {
    let start = Instant::now();
    for second in 1..=seconds {
        if let Some((address, path)) = &started.scraped {
            // One that does not listen yet is tried again.
            let _answer = get(address, path);
        }
        thread::sleep((PACE * second).saturating_sub(start.elapsed()));
    }
}
