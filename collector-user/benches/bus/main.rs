//! What the bus costs, beside tokio's bare `broadcast` and `watch` as the limit.
//!
//! `cargo xtask bench bus [-- PART…]`, with the parts `fan-out`, `idle`,
//! `list`, `memory` and `modes`; all of them take about two minutes.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has nothing better to do than to stop"
)]

mod allocations;
mod cpu;
mod fan_out;
mod idle;
mod list;
mod memory;
mod modes;
mod reading;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// A part of this benchmark.
type Part = (&'static str, fn());

const PARTS: [Part; 5] = [
    ("fan-out", fan_out::run),
    ("idle", idle::run),
    ("list", list::run),
    ("memory", memory::run),
    ("modes", modes::run),
];

fn main() {
    // `cargo bench` passes `--bench`; `cargo test` runs no benchmark.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("run this with `cargo bench`");
        return;
    }
    let wanted: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    for (name, run) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|part| *part == name) {
            run();
            println!();
        }
    }
}
