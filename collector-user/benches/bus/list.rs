//! The list of processes beside the ordered map of the crate `imbl`: both
//! share what did not change with their copies.

use std::{
    collections::VecDeque,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use collector::metric::{Process, ProcessList};
use imbl::OrdMap;

const PROCESSES: u32 = 50_000;
const CHANGED: u32 = 100;
const ROUNDS: usize = 400;
/// Copies that are kept, as the cache and slow subscribers do.
const KEPT: usize = 3;

type Map = OrdMap<(u32, u64), Arc<Process>>;

pub(crate) fn run() {
    println!(
        "Process list: {CHANGED} of {PROCESSES} rows change, then a copy is made; {ROUNDS} rounds, median (p95)"
    );
    for (which, spread) in [("the same rows", 1), ("other rows each time", 7)] {
        println!("  {which}");
        let list: ProcessList = (0..PROCESSES).map(|pid| row(pid, 0)).collect();
        let map: Map = (0..PROCESSES)
            .map(|pid| ((pid, 0), Arc::new(row(pid, 0))))
            .collect();
        measure("ProcessList", list, spread, change_list, ProcessList::copy);
        measure("imbl::OrdMap", map, spread, change_map, |map| map.clone());
    }
    let list: ProcessList = (0..PROCESSES).map(|pid| row(pid, 0)).collect();
    let map: Map = (0..PROCESSES)
        .map(|pid| ((pid, 0), Arc::new(row(pid, 0))))
        .collect();
    println!("  going through all rows");
    time("ProcessList", || {
        list.iter().map(|row| row.cpu_ns.unwrap_or(0)).sum()
    });
    time("imbl::OrdMap", || {
        map.values().map(|row| row.cpu_ns.unwrap_or(0)).sum()
    });
    println!("  1,000 look-ups by PID");
    let pids = || (0..1_000_u32).map(|n| n * 7_919 % PROCESSES);
    time("ProcessList", || {
        pids()
            .filter_map(|pid| list.get(pid))
            .filter_map(|row| row.cpu_ns)
            .sum()
    });
    time("imbl::OrdMap", || {
        pids()
            .filter_map(|pid| map.range((pid, 0)..=(pid, u64::MAX)).next_back())
            .filter_map(|(_, row)| row.cpu_ns)
            .sum()
    });
}

fn row(pid: u32, cpu_ns: u64) -> Process {
    Process {
        pid,
        cpu_ns: Some(cpu_ns),
        comm: "bench".into(),
        ..Process::default()
    }
}

/// The PIDs that change in a round.
fn changed(round: usize, spread: usize) -> impl Iterator<Item = u32> {
    let shift = if spread == 1 { 0 } else { round * spread };
    (0..CHANGED).map(move |n| (n * (PROCESSES / CHANGED) + shift as u32) % PROCESSES)
}

fn change_list(list: &mut ProcessList, pid: u32, cpu_ns: u64) {
    list.insert(row(pid, cpu_ns));
}

fn change_map(map: &mut Map, pid: u32, cpu_ns: u64) {
    map.insert((pid, 0), Arc::new(row(pid, cpu_ns)));
}

fn measure<T: Clone>(
    name: &str,
    mut rows: T,
    spread: usize,
    change: impl Fn(&mut T, u32, u64),
    copy: impl Fn(&mut T) -> T,
) {
    let mut kept = VecDeque::new();
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let began = Instant::now();
        for pid in changed(round, spread) {
            change(&mut rows, pid, round as u64);
        }
        kept.push_back(copy(&mut rows));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        times.push(began.elapsed());
    }
    show(name, times);
}

fn time(name: &str, work: impl Fn() -> u64) {
    let times = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            black_box(work());
            began.elapsed()
        })
        .collect();
    show(name, times);
}

fn show(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
    println!("    {name:<14} {:>9.1} us ({:.1})", at(50), at(95));
}
