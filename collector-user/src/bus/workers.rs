//! The threads that make collections.
//!
//! They are the bus' own: on the blocking pool of the runtime, what else the
//! process runs there would hold collections up, and a collection that hangs
//! would keep the runtime from ending.

use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::sync::lock;

/// How long a thread waits for work before it ends: longer than the interval
/// of tier 2.
const IDLE: Duration = Duration::from_secs(30);

/// Threads that are made when there is work for them.
///
/// They are never waited for: one that hangs in the kernel ends with the
/// process.
pub(super) struct Workers {
    shared: Arc<Shared>,
}

/// What a thread does once.
pub(super) type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Workers {
    pub(super) fn new() -> Self {
        Self {
            shared: Arc::default(),
        }
    }

    /// Has a thread do this: one that waits, else a new one, else the first
    /// that has ended what it does.
    ///
    /// # Errors
    ///
    /// When there is no thread, and none can be made.
    pub(super) fn run(&self, work: Work) -> io::Result<()> {
        let mut state = lock(&self.shared.state);
        if state.idle > state.waiting.len() {
            state.waiting.push_back(work);
            drop(state);
            self.shared.changed.notify_one();
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let made = thread::Builder::new()
            .name("collector-bus".to_owned())
            .spawn(move || shared.serve());
        match made {
            Ok(_) => state.threads += 1,
            Err(error) if state.threads == 0 => return Err(error),
            Err(error) => tracing::debug!(%error, "a collection waits for a thread"),
        }
        state.waiting.push_back(work);
        Ok(())
    }
}

impl Shared {
    fn serve(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(work) = state.waiting.pop_front() {
                drop(state);
                // What it does is caught where it may fail. Should the bus
                // itself panic, this thread is still counted.
                if catch_unwind(AssertUnwindSafe(work)).is_err() {
                    tracing::error!("a thread of the bus panicked, which is a bug");
                }
                state = lock(&self.state);
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let (woken, timed_out) = self
                .changed
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timed_out.timed_out() && state.waiting.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        lock(&self.shared.state).closed = true;
        self.shared.changed.notify_all();
    }
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = lock(&self.shared.state);
        f.debug_struct("Workers")
            .field("threads", &state.threads)
            .field("idle", &state.idle)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_thread_that_waits_is_used_again_and_one_that_is_busy_is_not_waited_for() {
        let workers = Workers::new();
        let (done, is_done) = mpsc::channel();
        let send = |done: &mpsc::Sender<_>| -> Work {
            let done = done.clone();
            Box::new(move || done.send(thread::current().id()).unwrap())
        };
        workers.run(send(&done)).unwrap();
        let first = is_done.recv().unwrap();
        while lock(&workers.shared.state).idle == 0 {
            thread::yield_now();
        }
        let (release, held) = mpsc::channel::<()>();
        let id = done.clone();
        workers
            .run(Box::new(move || {
                id.send(thread::current().id()).unwrap();
                let _ = held.recv();
            }))
            .unwrap();
        assert_eq!(is_done.recv().unwrap(), first);
        workers.run(send(&done)).unwrap();
        assert_ne!(is_done.recv().unwrap(), first);
        assert_eq!(lock(&workers.shared.state).threads, 2);
        drop(release);
    }
}
