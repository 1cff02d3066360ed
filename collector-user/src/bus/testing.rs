//! A clock and a collector for tests of what consumes a bus.
//!
//! ```
//! use std::time::Duration;
//! use collector::{
//!     bus::{Bus, every, testing::{MockCollector, TestClock}},
//!     metric::CpuStats,
//! };
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let collector = MockCollector::new(|_call| Ok(CpuStats::default()));
//! let calls = collector.calls();
//! let bus = Bus::builder()
//!     .clock(TestClock::default())
//!     .collector(collector)
//!     .build()
//!     .unwrap();
//! let mut cpus = bus.subscribe::<CpuStats>(every(Duration::from_secs(1))).unwrap();
//! for _ in 0..3 {
//!     cpus.recv().await.unwrap();
//! }
//! assert_eq!(calls.count(), 3);
//! # }
//! ```
//!
//! With tokio's clock paused, as in the example, the time on the samples
//! follows it, and it does not run on while a collection is under way.

use std::{
    any::Any,
    fmt,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use super::{Clock, Timestamp, sync::lock};
use crate::{
    collectors::{CollectError, Collector, Cost},
    metric::Reading,
    source::Tick,
};

/// A clock that follows tokio's, paused or not. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct TestClock {
    origin: tokio::time::Instant,
    origin_ns: u64,
    suspended_ns: Arc<AtomicU64>,
}

impl TestClock {
    /// The wall clock of every test begins here: 2026-01-01T00:00:00Z.
    pub const WALL: Duration = Duration::from_hours(490_896);

    /// A clock that starts at `uptime`.
    pub fn starting_at(uptime: Duration) -> Self {
        Self {
            origin: tokio::time::Instant::now(),
            origin_ns: uptime.as_nanos() as u64,
            suspended_ns: Arc::default(),
        }
    }

    /// As if the machine had been suspended for so long just now: the wall
    /// clock and `CLOCK_BOOTTIME` go on, `CLOCK_MONOTONIC` does not.
    pub fn suspend(&self, duration: Duration) {
        self.suspended_ns
            .fetch_add(duration.as_nanos() as u64, Ordering::Relaxed);
    }
}

impl Default for TestClock {
    /// A clock that shows a thousand seconds since the machine started.
    fn default() -> Self {
        Self::starting_at(Duration::from_secs(1_000))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let elapsed = self.origin.elapsed();
        let suspended = Duration::from_nanos(self.suspended_ns.load(Ordering::Relaxed));
        let monotonic_ns = self.origin_ns + elapsed.as_nanos() as u64;
        Timestamp {
            wall: SystemTime::UNIX_EPOCH + Self::WALL + elapsed + suspended,
            monotonic_ns,
            boottime_ns: monotonic_ns + suspended.as_nanos() as u64,
        }
    }

    /// A paused clock of tokio is moved on when its runtime has nothing to do,
    /// but not while a task of its blocking pool runs: so one waits there.
    fn hold(&self) -> Option<Box<dyn Any + Send + Sync>> {
        let (held, holds) = tokio::sync::oneshot::channel::<()>();
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        drop(runtime.spawn_blocking(move || {
            let _ = holds.blocking_recv();
        }));
        Some(Box::new(held))
    }
}

/// A collector that calls a closure.
pub struct MockCollector<R> {
    collect: Box<dyn FnMut(u64) -> Result<R, CollectError> + Send>,
    calls: Calls,
    floor: Duration,
    deadline: Duration,
    cost: Cost,
}

/// How often a [`MockCollector`] was called.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<AtomicU64>);

impl Calls {
    /// How often it was called.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl<R: Reading> MockCollector<R> {
    /// A collector that yields what `collect` returns. It is given the number
    /// of the call, from 1 on. It may also block, as at a [`Gate`], or panic.
    pub fn new(collect: impl FnMut(u64) -> Result<R, CollectError> + Send + 'static) -> Self {
        Self {
            collect: Box::new(collect),
            calls: Calls::default(),
            floor: Duration::from_millis(100),
            deadline: Duration::from_secs(5),
            cost: Cost::Cheap,
        }
    }

    /// How often it was called.
    pub fn calls(&self) -> Calls {
        self.calls.clone()
    }

    /// The shortest interval at which it may be called; 100 ms unless set.
    #[must_use]
    pub fn floor(self, floor: Duration) -> Self {
        Self { floor, ..self }
    }

    /// How long one collection may take; 5 s unless set.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// What one collection costs; cheap unless set.
    #[must_use]
    pub fn cost(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }
}

impl<R: Reading> Collector for MockCollector<R> {
    type Reading = R;

    fn sources(&self) -> &'static [&'static str] {
        &[]
    }

    fn cost(&self) -> Cost {
        self.cost
    }

    fn floor(&self) -> Duration {
        self.floor
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    fn collect(&mut self, _tick: &Tick) -> Result<R, CollectError> {
        let call = self.calls.0.fetch_add(1, Ordering::SeqCst) + 1;
        (self.collect)(call)
    }
}

impl<R> fmt::Debug for MockCollector<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockCollector")
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// Holds a collection up until it is opened. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// A gate that is shut.
    pub fn shut() -> Self {
        Self::default()
    }

    /// Waits until the gate is open.
    pub fn pass(&self) {
        let (open, opened) = &*self.0;
        drop(
            opened
                .wait_while(lock(open), |open| !*open)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Opens the gate for good.
    pub fn open(&self) {
        let (open, opened) = &*self.0;
        *lock(open) = true;
        opened.notify_all();
    }
}
