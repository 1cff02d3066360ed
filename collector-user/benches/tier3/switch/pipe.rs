//! `perf bench sched pipe`, of which one run continues while programs are attached
//! and detached.
//!
//! Two runs without a program differ by some percent, depending on their memory
//! layout: as much as is to be measured. So both sides of a ratio are from one
//! run.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::watched::{Samples, Watched};
use crate::{
    run::{Failure, Run},
    tool,
};

pub(super) const NAME: &str = "perf bench sched pipe, on one CPU";
pub(super) const PROGRAM: &str = "perf";
/// Its command line.
pub(super) const COMMAND: &str = "taskset -c 0 perf bench sched pipe";

/// The number of rounds in one run of the load.
const ROUNDS_A_RUN: usize = 3;

/// The length of a window: long enough to include a tick of the agent.
const WINDOW: Duration = Duration::from_secs(1);

/// Measures all in turn, in an order that changes from round to round. A sample is
/// the better one of two windows, because other load on a shared machine only adds
/// to it. There are many rounds, for a median that is precise to some percent.
pub(super) fn measure(run: &Run) -> Result<Samples, Failure> {
    let (rounds, windows) = run.choose((2, 1), (60, 2));
    let mut samples = Samples::default();
    let mut pipe = Pipe::start()?;
    let mut order = [
        Watched::Bare,
        Watched::Agent,
        Watched::Empty,
        Watched::Clock,
    ];
    for round in 0..rounds {
        run.say(&format!("{NAME}: round {} of {rounds}", round + 1));
        if round > 0 && round % ROUNDS_A_RUN == 0 {
            drop(pipe);
            pipe = Pipe::start()?;
        }
        for watched in order {
            let _watcher = watched.begin()?;
            let mut least = f64::INFINITY;
            for _ in 0..windows {
                least = least.min(pipe.operation_us()?);
            }
            samples.push(watched, least);
        }
        order.rotate_left(1);
        if round % 4 == 3 {
            order.reverse();
        }
    }
    Ok(samples)
}

/// A run of the load, which is stopped when this is dropped.
pub(super) struct Pipe(Child);

impl Pipe {
    pub(super) fn start() -> Result<Self, Failure> {
        let perf = tool::find(PROGRAM).ok_or_else(|| tool::absent(PROGRAM))?;
        let child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(perf)
            .args(["bench", "sched", "pipe", "-l", "2000000000"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // To kill its children too.
            .process_group(0)
            .spawn()?;
        let pipe = Self(child);
        // It has started by then.
        thread::sleep(WINDOW);
        Ok(pipe)
    }

    /// The mean duration of an operation in a window.
    pub(super) fn operation_us(&self) -> Result<f64, Failure> {
        let (operations, start) = (self.operations()?, Instant::now());
        thread::sleep(WINDOW);
        let (operations, took) = (self.operations()? - operations, start.elapsed());
        if operations == 0 {
            return Err(format!("{COMMAND} does nothing").into());
        }
        Ok(took.as_secs_f64() * 1e6 / operations as f64)
    }

    /// The number of operations: at each, this process is switched out once for the
    /// other one, either because it waits for the answer or because the woken process
    /// preempts it.
    fn operations(&self) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let waits = tool::number_after(&status, "\nvoluntary_ctxt_switches:");
        let preempted = tool::number_after(&status, "\nnonvoluntary_ctxt_switches:");
        let left = waits
            .zip(preempted)
            .map(|(waits, preempted)| waits + preempted);
        Ok(left.ok_or("the kernel does not count switches")? as u64)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.0);
        let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _status = self.0.wait();
    }
}
