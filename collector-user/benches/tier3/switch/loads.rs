use super::watched::{Samples, Watched};
use crate::{
    run::{Failure, Run},
    tool::{number_after, number_before, output},
};

/// A program that causes context switches, and reports a duration.
pub(super) struct Load {
    pub(super) name: &'static str,
    pub(super) program: &'static str,
    /// Its command line.
    pub(super) command: &'static str,
    pub(super) measured: &'static str,
    /// Runs it, quickly or not, and returns microseconds.
    run: fn(bool) -> Result<Option<f64>, Failure>,
}

pub(super) static LOADS: [Load; 2] = [
    Load {
        name: "hackbench",
        program: "hackbench",
        command: "hackbench -g 4",
        measured: "the whole run",
        run: hackbench,
    },
    Load {
        name: "stress-ng --switch",
        program: "stress-ng",
        command: "stress-ng --switch 1",
        measured: "a switch",
        run: stress_ng,
    },
];

impl Load {
    /// Measures it with and without the agent, in turn.
    pub(super) fn measure(&self, run: &Run) -> Result<Samples, Failure> {
        let rounds = run.choose(2, 9);
        let mut samples = Samples::default();
        let mut order = [Watched::Bare, Watched::Agent];
        for round in 1..=rounds {
            run.say(&format!("{}: round {round} of {rounds}", self.name));
            for watched in order {
                let _watcher = watched.begin()?;
                samples.push(watched, self.took_us(run)?);
            }
            order.reverse();
        }
        Ok(samples)
    }

    /// Its result, in microseconds.
    pub(super) fn took_us(&self, run: &Run) -> Result<f64, Failure> {
        let took = (self.run)(run.is_quick)?;
        Ok(took.ok_or_else(|| format!("{} told no time", self.command))?)
    }
}

fn hackbench(is_quick: bool) -> Result<Option<f64>, Failure> {
    let loops = if is_quick { "200" } else { "500" };
    let text = output("hackbench", &["-g", "4", "-l", loops])?;
    Ok(number_after(&text, "Time:").map(|seconds| seconds * 1e6))
}

fn stress_ng(is_quick: bool) -> Result<Option<f64>, Failure> {
    let switches = if is_quick { "50000" } else { "100000" };
    let text = output(
        "stress-ng",
        &[
            "--switch",
            "1",
            "--switch-ops",
            switches,
            "--metrics-brief",
            "--no-rand-seed",
        ],
    )?;
    Ok(number_before(&text, "nanosecs per context switch").map(|ns| ns / 1e3))
}
