//! Does on a host what other programs of a busy host do, for tests to run beside
//! it: processes begin, execute another program and end; threads begin, end and
//! wake each other; processes are moved between cgroups, which are made and
//! removed; `/proc` is scraped; files are written.
//!
//! Goes on until its standard input ends, and so not longer than the program
//! that started it; then it removes what it has made, says in one line what it
//! did, and fails if it did not do all of that. It takes about two thirds of
//! one CPU, its children included: where the CPU is slow it does less.

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

/// How often all of it is done, where the CPU is fast enough.
const ROUND: Duration = Duration::from_millis(20);
/// `/proc` is scraped in one of so many rounds.
const ROUNDS_A_SCRAPE: u64 = 5;
/// One of so many rounds has many more processes.
const ROUNDS_A_BURST: u64 = 100;
/// How many processes begin in a round, and how many in a burst.
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
        // At its end, and if it cannot be read.
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

/// A test may use up all numbers of processes for a while.
fn if_there_is_room(done: io::Result<u64>) -> io::Result<u64> {
    done.or_else(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Ok(0),
        _ => Err(error),
    })
}

/// Ends at a signal as at the end of the standard input, so that nothing is
/// left behind.
fn stop_at_signals() {
    extern "C" fn stop(_signal: i32) {
        IS_TO_STOP.store(true, Ordering::Relaxed);
    }
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the function may be called at any time: it sets a flag.
        unsafe { libc::signal(signal, stop as *const () as libc::sighandler_t) };
    }
}
