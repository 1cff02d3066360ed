use crate::{
    report::Aim,
    run::Failure,
    tool::{number_after, number_before, output},
};

/// A program that switches, and says how long something took.
pub(super) struct Load {
    pub(super) name: &'static str,
    pub(super) program: &'static str,
    /// As one would type it.
    pub(super) command: &'static str,
    pub(super) measured: &'static str,
    pub(super) aim: Option<Aim>,
    /// How many runs make one sample.
    runs: usize,
    /// Runs it, quickly or not, and tells microseconds.
    run: fn(bool) -> Result<Option<f64>, Failure>,
}

impl Load {
    /// Microseconds, of what it measures: the least of as many runs as make a
    /// sample. What disturbs a run on a shared machine only adds to it.
    pub(super) fn measure(&self, is_quick: bool) -> Result<f64, Failure> {
        let mut least = f64::INFINITY;
        for _ in 0..self.runs {
            let took =
                (self.run)(is_quick)?.ok_or_else(|| format!("{} told no time", self.command))?;
            least = least.min(took);
        }
        Ok(least)
    }
}

pub(super) static LOADS: [Load; 3] = [
    Load {
        name: "perf bench sched pipe, on one CPU",
        program: "perf",
        command: "taskset -c 0 perf bench sched pipe",
        measured: "an operation",
        aim: Some(Aim::AtMost(1.05)),
        runs: 3,
        run: pipe,
    },
    Load {
        name: "hackbench",
        program: "hackbench",
        command: "hackbench -g 4",
        measured: "the whole run",
        aim: None,
        runs: 1,
        run: hackbench,
    },
    Load {
        name: "stress-ng --switch",
        program: "stress-ng",
        command: "stress-ng --switch 1",
        measured: "a switch",
        aim: None,
        runs: 1,
        run: stress_ng,
    },
];

/// Takes longer than a second unless it shall be quick, so that a tick of the
/// agent is in each run.
fn pipe(is_quick: bool) -> Result<Option<f64>, Failure> {
    let loops = if is_quick { "50000" } else { "250000" };
    let text = output(
        "taskset",
        &["-c", "0", "perf", "bench", "sched", "pipe", "-l", loops],
    )?;
    Ok(number_before(&text, "usecs/op"))
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
