//! A load generator for tests: processes fork, exec and exit; threads start, exit and wake
//! each other; processes are moved between cgroups, which are created and removed; `/proc`
//! is read; files are written.
//!
//! Runs until its standard input is closed, and so no longer than the program that started
//! it. Then it removes its files and cgroups, prints a summary in one line, and fails if it
//! did too little of something. It uses about two thirds of one CPU, including its children,
//! and does less on a slow CPU.

mod counts;
mod files;
mod moves;
mod processes;
mod scrape;
mod threads;
mod throttle;

use std::{
    error::Error,
    io,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use counts::{Counts, Kind};
use files::Files;
use moves::Moves;
use threads::Relay;
use throttle::Throttle;

/// The length of a round on a fast CPU.
const ROUND: Duration = Duration::from_millis(20);
/// `/proc` is read once in this number of rounds.
const ROUNDS_A_SCRAPE: u64 = 5;
/// One in this number of rounds is a burst of processes.
const ROUNDS_A_BURST: u64 = 100;
/// The number of processes in a round, and in a burst.
const FORKS: usize = 4;
const FORKS_IN_A_BURST: usize = 64;

static IS_TO_STOP: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("noise: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    stop_at_signals();
    thread::spawn(|| {
        // At end of file, and on an error.
        let _ended = io::copy(&mut io::stdin().lock(), &mut io::sink());
        IS_TO_STOP.store(true, Ordering::Relaxed);
    });
    let mut counts = Counts::default();
    let mut files = Files::new()?;
    let relay = Relay::start();
    let mut moves = Moves::new();
    let mut throttle = Throttle::new(ROUND);
    let mut round = 0;
    while !IS_TO_STOP.load(Ordering::Relaxed) {
        let forks = if round % ROUNDS_A_BURST == 0 {
            FORKS_IN_A_BURST
        } else {
            FORKS
        };
        counts.add(
            Kind::Fork,
            if_there_is_room(processes::fork_and_wait(forks))?,
        );
        counts.add(Kind::Exec, if_there_is_room(processes::exec_and_wait())?);
        counts.add(Kind::Thread, if_there_is_room(threads::begin_and_end())?);
        counts.add(Kind::Wakeup, relay.run()?);
        if let Ok(moves) = &mut moves {
            counts.add(Kind::Move, moves.move_on()?);
        }
        counts.add(Kind::Write, files.write()?);
        if round % ROUNDS_A_SCRAPE == 0 {
            counts.add(Kind::Scrape, scrape::proc());
        }
        throttle.wait();
        round += 1;
    }
    let elapsed = throttle.elapsed();
    println!(
        "noise: {counts} in {} s with {:.0} % of a CPU",
        elapsed.as_secs(),
        throttle.share() * 100.0
    );
    let exempt = moves.err().map(|error| {
        println!("noise: nothing was moved, since no cgroup can be made: {error}");
        Kind::Move
    });
    match counts.too_few(elapsed, exempt) {
        Some(kind) => Err(format!("too few {}", kind.name()).into()),
        None => Ok(()),
    }
}

/// A test may exhaust the PIDs for a while.
fn if_there_is_room(done: io::Result<u64>) -> io::Result<u64> {
    done.or_else(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Ok(0),
        _ => Err(error),
    })
}

/// A signal has the same effect as the end of standard input, so that everything is removed.
fn stop_at_signals() {
    extern "C" fn stop(_signal: i32) {
        IS_TO_STOP.store(true, Ordering::Relaxed);
    }
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler is async-signal-safe: it only sets a flag.
        unsafe { libc::signal(signal, stop as *const () as libc::sighandler_t) };
    }
}
