use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use collector_tests::{burn_cpu_ms, children_cpu_ns};

/// The maximum and the minimum share of one CPU.
const MOST: f64 = 0.70;
const LEAST: f64 = 0.60;
/// CPU time that is used in one step.
const BURN_MS: u64 = 8;

/// Keeps the interval of rounds and the share of one CPU.
pub(crate) struct Throttle {
    began: Instant,
    children_before_ns: u64,
    round: Duration,
    next: Instant,
}

impl Throttle {
    pub(crate) fn new(round: Duration) -> Self {
        let began = Instant::now();
        Self {
            began,
            children_before_ns: children_cpu_ns().unwrap_or(0),
            round,
            next: began + round,
        }
    }

    /// Waits until the next round is due. Waits longer after too much CPU time, and uses some
    /// after too little.
    pub(crate) fn wait(&mut self) {
        if self.share() < LEAST {
            burn_cpu_ms(BURN_MS);
        }
        let due = self.began + self.used().div_f64(MOST);
        self.next = self.next.max(due);
        thread::sleep(self.next.saturating_duration_since(Instant::now()));
        // A late round is not caught up.
        self.next = self.next.max(Instant::now()) + self.round;
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The used share of one CPU.
    pub(crate) fn share(&self) -> f64 {
        self.used().div_duration_f64(self.elapsed())
    }

    /// CPU time of all threads of this process and of its exited children.
    fn used(&self) -> Duration {
        let own = clock_gettime(ClockId::ProcessCPUTime);
        let own = Duration::new(own.tv_sec as u64, own.tv_nsec as u32);
        let children = children_cpu_ns().unwrap_or(self.children_before_ns);
        own + Duration::from_nanos(children.saturating_sub(self.children_before_ns))
    }
}
