//! What accounting in the kernel costs, beside reading `/proc`.
//!
//! `cargo xtask bench tier3 [-- [--quick] PART…]`, with the parts `tick` and
//! `switch`; as root. Both take about two minutes, with `--quick` half of
//! that.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot go on has nothing better to do than to stop"
)]

mod nursery;
mod statistics;
mod switch;
mod tick;

use collector::source::ebpf::{LoadOptions, Scheduler};

/// A part of this benchmark, told whether to be quick.
type Part = (&'static str, fn(bool));

const PARTS: [Part; 2] = [("tick", tick::run), ("switch", switch::run)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, idle, active] = &arguments[..]
        && word == nursery::WORD
    {
        nursery::main(idle, active);
        return;
    }
    // `cargo bench` passes `--bench`; `cargo test` runs no benchmark.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("run this with `cargo bench`");
        return;
    }
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let wanted: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    for (name, run) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|part| *part == name) {
            run(is_quick);
            println!();
        }
    }
}

fn load() -> Scheduler {
    match Scheduler::load(&LoadOptions::default()) {
        Ok(scheduler) => scheduler,
        Err(error) => {
            eprintln!("{error}");
            std::process::abort();
        }
    }
}
