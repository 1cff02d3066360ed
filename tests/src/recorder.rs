use std::{
    collections::BTreeSet,
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use collector::{
    collectors::ebpf::{Accountant, EventSink, EventStream},
    metric::{ExecEvent, ExitEvent, ForkEvent, ProcessEvent},
};

use crate::{Identity, Who, here_or_emulated};

/// Records all lifecycle events.
#[derive(Clone, Debug, Default)]
pub struct EventRecorder {
    events: Arc<Mutex<Vec<ProcessEvent>>>,
    lost: Arc<AtomicU64>,
}

/// Records all lifecycle events of loaded programs as long as it lives.
#[derive(Debug)]
pub struct Recording {
    recorder: EventRecorder,
    _stream: EventStream,
}

impl Recording {
    /// Records the events of these programs from now on.
    pub fn of(accountant: &Accountant) -> Self {
        let recorder = EventRecorder::default();
        let stream = accountant.send_events_to(recorder.clone());
        Self {
            recorder,
            _stream: stream,
        }
    }
}

impl Deref for Recording {
    type Target = EventRecorder;

    fn deref(&self) -> &EventRecorder {
        &self.recorder
    }
}

/// The recorded events by kind, in order.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Forks.
    pub forks: Vec<ForkEvent>,
    /// Execs.
    pub execs: Vec<ExecEvent>,
    /// Exits.
    pub exits: Vec<ExitEvent>,
}

impl Recorded {
    /// The events of this process alone.
    #[must_use]
    pub fn of(&self, who: &impl Who) -> Self {
        let is = |pid, start_time_ns| who.is(Identity::new(pid, start_time_ns));
        let mut of = self.clone();
        of.forks.retain(|fork| is(fork.pid, fork.start_time_ns));
        of.execs.retain(|exec| is(exec.pid, exec.start_time_ns));
        of.exits.retain(|exit| is(exit.pid, exit.start_time_ns));
        of
    }
}

impl EventSink for EventRecorder {
    fn is_wanted(&self) -> bool {
        true
    }

    fn publish(&self, event: ProcessEvent) {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }

    fn lost(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }
}

impl EventRecorder {
    /// The events so far, in order.
    pub fn events(&self) -> Vec<ProcessEvent> {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The events so far, by kind.
    pub fn recorded(&self) -> Recorded {
        let mut recorded = Recorded::default();
        for event in self.events() {
            match event {
                ProcessEvent::Fork(fork) => recorded.forks.push(fork),
                ProcessEvent::Exec(exec) => recorded.execs.push(exec),
                ProcessEvent::Exit(exit) => recorded.exits.push(exit),
            }
        }
        recorded
    }

    /// The number of lost events.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits for the exit event of each of these processes, at most two minutes, or four
    /// under emulation, and returns the events.
    pub fn wait_for_exits(&self, all: &[impl Who]) -> Recorded {
        self.wait_for_exits_until(
            all,
            Instant::now() + Duration::from_secs(here_or_emulated(120, 240)),
        )
    }

    /// As [`wait_for_exits`](Self::wait_for_exits), at most until `deadline`: for exits
    /// that may have no event.
    pub fn wait_for_exits_until(&self, all: &[impl Who], deadline: Instant) -> Recorded {
        let mut waiting: Vec<_> = all.iter().collect();
        loop {
            let recorded = self.recorded();
            let ended = recorded.exits.iter();
            let ended: BTreeSet<Identity> = ended
                .map(|exit| Identity::new(exit.pid, exit.start_time_ns))
                .collect();
            waiting.retain(|who| !ended.iter().any(|process| who.is(*process)));
            if waiting.is_empty() || Instant::now() > deadline {
                return recorded;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
