//! The hand-over of samples to one subscriber.
//!
//! `tests/hand_over.rs` tries this file in every order of events.

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    task::{Context, Poll, Waker},
};

use super::sync::{Mutex, lock};

/// Where the samples of one subscriber wait. Putting one in never waits for
/// the subscriber: when it is full, the oldest goes.
#[derive(Debug)]
pub(super) struct Mailbox<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    waiting: VecDeque<Taken<T>>,
    limit: NonZeroUsize,
    /// How many were lost after the newest that waits.
    missed: u64,
    reader: Option<Waker>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing more will come; what waits can still be taken.
    Ended,
    /// Nobody will take anything any more.
    Closed,
}

/// One sample, as it waits and is taken out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken<T> {
    pub(super) item: T,
    /// How many were lost before it.
    pub(super) missed: u64,
}

impl<T> Mailbox<T> {
    pub(super) fn new(limit: NonZeroUsize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                // Most subscribers want one sample, so one must not cost four.
                waiting: VecDeque::with_capacity(usize::from(limit == NonZeroUsize::MIN)),
                limit,
                missed: 0,
                reader: None,
                state: State::Open,
            }),
        }
    }

    /// Puts one in, and says how many were lost by that.
    pub(super) fn put(&self, item: T) -> u64 {
        let (lost, reader) = {
            let mut inner = lock(&self.inner);
            if inner.state != State::Open {
                return 0;
            }
            let lost = if inner.waiting.len() >= inner.limit.get() {
                inner.waiting.pop_front()
            } else {
                None
            };
            let missed = std::mem::take(&mut inner.missed);
            inner.waiting.push_back(Taken { item, missed });
            if let (Some(lost), Some(oldest)) = (&lost, inner.waiting.front_mut()) {
                oldest.missed += lost.missed + 1;
            }
            (lost, inner.reader.take())
        };
        // Waking, and dropping what may be the last use of a reading, are done
        // without the lock.
        if let Some(reader) = reader {
            reader.wake();
        }
        u64::from(lost.is_some())
    }

    /// Says that so many were lost before they could be put in.
    pub(super) fn miss(&self, count: u64) {
        lock(&self.inner).missed += count;
    }

    /// Takes the oldest out, waiting for it; `None` when nothing more will come.
    pub(super) fn poll_take(&self, context: &mut Context<'_>) -> Poll<Option<Taken<T>>> {
        let mut inner = lock(&self.inner);
        if let Some(taken) = inner.waiting.pop_front() {
            return Poll::Ready(Some(taken));
        }
        if inner.state != State::Open {
            return Poll::Ready(None);
        }
        match &mut inner.reader {
            Some(reader) => reader.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Nothing more will come.
    pub(super) fn end(&self) {
        self.leave_open(State::Ended);
    }

    /// Nobody will take anything any more: what waits is dropped.
    pub(super) fn close(&self) {
        let _dropped_unlocked = self.leave_open(State::Closed);
    }

    fn leave_open(&self, state: State) -> VecDeque<Taken<T>> {
        let (dropped, reader) = {
            let mut inner = lock(&self.inner);
            inner.state = state;
            let dropped = match state {
                State::Closed => std::mem::take(&mut inner.waiting),
                State::Open | State::Ended => VecDeque::new(),
            };
            (dropped, inner.reader.take())
        };
        if let Some(reader) = reader {
            reader.wake();
        }
        dropped
    }
}
