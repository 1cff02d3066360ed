//! A tick of `process_stats`, beside one pass over `/proc`.

use std::{
    fs,
    io::Read as _,
    thread,
    time::{Duration, Instant},
};

use collector::source::Sources;

use crate::{load, nursery::Nursery, statistics::median};

/// Processes that run a little every ten milliseconds.
const ACTIVE: usize = 100;

pub(crate) fn run(is_quick: bool) {
    let populations: &[usize] = if is_quick {
        &[1_000, 5_000]
    } else {
        &[1_000, 5_000, 20_000]
    };
    let ticks = if is_quick { 7 } else { 15 };
    println!("one tick of process_stats, {ACTIVE} processes active, at 1 s and at 100 ms");
    println!(
        "{:>8} {:>12} {:>14} {:>12} {:>14} {:>12} {:>10}",
        "idle",
        "1 s tick us",
        "100 ms tick us",
        "/proc opens",
        "/proc pass ms",
        "pass/tick",
        "RSS MiB"
    );
    for &idle in populations {
        let scheduler = load();
        let nursery = Nursery::new(idle, ACTIVE);
        let sources = Sources::live();
        // The first ticks look up what is new.
        loop {
            let before = sources.stats().opens;
            scheduler
                .process_stats(&sources.tick())
                .expect("a reading is had");
            if sources.stats().opens == before {
                break;
            }
        }
        let before = sources.stats().opens;
        let measure = |pace: Duration| {
            let mut times: Vec<f64> = (0..ticks)
                .map(|_| {
                    thread::sleep(pace);
                    let tick = sources.tick();
                    let start = Instant::now();
                    let reading = scheduler.process_stats(&tick).expect("a reading is had");
                    let took = start.elapsed();
                    assert!(reading.processes.len() > idle, "all are shown");
                    took.as_secs_f64() * 1e6
                })
                .collect();
            median(&mut times)
        };
        let slow = measure(Duration::from_secs(1));
        let fast = measure(Duration::from_millis(100));
        let opens = sources.stats().opens - before;
        let mut passes: Vec<f64> = (0..3).map(|_| proc_pass().as_secs_f64() * 1e3).collect();
        let pass = median(&mut passes);
        println!(
            "{idle:>8} {slow:>12.0} {fast:>14.0} {opens:>12} {pass:>14.1} {:>12.0} {:>10.1}",
            pass * 1e3 / slow,
            rss_mib()
        );
        drop(nursery);
    }
    println!(
        "A tick in ten also goes through all tasks, for memory and I/O; the median leaves it out.\n\
         /proc opens: by all the ticks that were timed."
    );
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
            // A process may have ended.
            if let Ok(mut file) = fs::File::open(entry.path().join(file)) {
                let _read = file.read(&mut buffer);
            }
        }
    }
    start.elapsed()
}

fn rss_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("it can be read");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}
