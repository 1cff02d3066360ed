//! The hand-over of samples to one subscriber.
//!
//! `tests/hand_over.rs` tries this file in every order of events.

use std::{
    collections::VecDeque,
    mem,
    num::NonZeroUsize,
    task::{Context, Poll, Waker},
};

use super::{
    metric::Missed,
    sync::{Mutex, lock},
};

/// Where the samples of one subscriber wait. Putting one in never waits for
/// the subscriber: when it is full, the oldest goes.
#[derive(Debug)]
pub(crate) struct Mailbox<T, E> {
    inner: Mutex<Inner<T, E>>,
    limit: Limit,
}

/// How much may wait in a mailbox. The newest always may, whatever its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) count: NonZeroUsize,
    pub(crate) bytes: usize,
}

#[derive(Debug)]
struct Inner<T, E> {
    waiting: VecDeque<Waiting<T>>,
    /// The bytes of all that wait.
    bytes: usize,
    /// What was lost after the newest that waits.
    missed: Missed,
    reader: Option<Waker>,
    state: State<E>,
}

#[derive(Debug)]
struct Waiting<T> {
    item: T,
    bytes: usize,
    /// What was lost before it.
    missed: Missed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State<E> {
    Open,
    /// Nothing more will come; what waits can still be taken.
    Ended(E),
    /// The subscription was dropped.
    Closed,
}

/// What was taken out of a mailbox.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T, E> {
    /// One sample, and what was lost before it.
    Item { item: T, missed: Missed },
    /// What was lost, and nothing has come after it yet.
    Gap(Missed),
    /// Nothing more will come; `None` if the mailbox was closed.
    End(Option<E>),
}

impl<T, E: Clone> Mailbox<T, E> {
    pub(crate) fn new(limit: Limit) -> Self {
        Self {
            inner: Mutex::new(Inner {
                // Most subscribers want one sample, so one must not cost four.
                waiting: VecDeque::with_capacity(usize::from(limit.count == NonZeroUsize::MIN)),
                bytes: 0,
                missed: Missed::NONE,
                reader: None,
                state: State::Open,
            }),
            limit,
        }
    }

    /// How much may wait.
    pub(crate) fn limit(&self) -> Limit {
        self.limit
    }

    /// Puts an item of `bytes` bytes in, before which `missed` was missed;
    /// returns how many it pushed out. No more than `max_bytes` wait then, if
    /// that is less than the limit of the mailbox.
    pub(crate) fn put(&self, item: T, bytes: usize, missed: Missed, max_bytes: usize) -> u64 {
        let max_bytes = max_bytes.min(self.limit.bytes);
        let mut pushed_out = Vec::new();
        let reader = {
            let mut inner = lock(&self.inner);
            if !matches!(inner.state, State::Open) {
                return 0;
            }
            inner.missed += missed;
            let mut lost = Missed::NONE;
            while let Some(oldest) = inner.waiting.front() {
                let is_full = inner.waiting.len() >= self.limit.count.get()
                    || inner.bytes.saturating_add(bytes) > max_bytes;
                if !is_full {
                    break;
                }
                inner.bytes = inner.bytes.saturating_sub(oldest.bytes);
                if let Some(oldest) = inner.waiting.pop_front() {
                    lost += oldest.missed;
                    lost += Missed::by_subscriber(1);
                    pushed_out.push(oldest);
                }
            }
            let missed = mem::take(&mut inner.missed);
            inner.bytes += bytes;
            inner.waiting.push_back(Waiting {
                item,
                bytes,
                missed,
            });
            if let Some(oldest) = inner.waiting.front_mut() {
                oldest.missed += lost;
            }
            inner.reader.take()
        };
        // Waking, and dropping what may be the last use of a reading, are done
        // without the lock.
        if let Some(reader) = reader {
            reader.wake();
        }
        pushed_out.len() as u64
    }

    /// Adds what was lost before it could be put in. A subscriber that waits is
    /// woken at once, since the next item may take long.
    pub(crate) fn miss(&self, missed: Missed) {
        if missed.is_none() {
            return;
        }
        let reader = {
            let mut inner = lock(&self.inner);
            inner.missed += missed;
            inner.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Takes the oldest out, waiting for it.
    pub(crate) fn poll_take(&self, context: &mut Context<'_>) -> Poll<Taken<T, E>> {
        let mut inner = lock(&self.inner);
        if let Some(taken) = inner.take() {
            return Poll::Ready(taken);
        }
        match &mut inner.reader {
            Some(reader) => reader.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Takes the oldest out, if anything waits.
    pub(crate) fn try_take(&self) -> Option<Taken<T, E>> {
        lock(&self.inner).take()
    }

    /// Nothing more will come. The first end stays.
    pub(crate) fn end(&self, why: E) {
        let reader = {
            let mut inner = lock(&self.inner);
            if matches!(inner.state, State::Open) {
                inner.state = State::Ended(why);
            }
            inner.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The subscription was dropped: what waits is dropped.
    pub(crate) fn close(&self) {
        let _dropped_unlocked = {
            let mut inner = lock(&self.inner);
            inner.state = State::Closed;
            inner.bytes = 0;
            (mem::take(&mut inner.waiting), inner.reader.take())
        };
    }
}

impl<T, E: Clone> Inner<T, E> {
    fn take(&mut self) -> Option<Taken<T, E>> {
        if let Some(Waiting {
            item,
            bytes,
            missed,
        }) = self.waiting.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(bytes);
            return Some(Taken::Item { item, missed });
        }
        if !self.missed.is_none() {
            return Some(Taken::Gap(mem::take(&mut self.missed)));
        }
        match &self.state {
            State::Open => None,
            State::Ended(why) => Some(Taken::End(Some(why.clone()))),
            State::Closed => Some(Taken::End(None)),
        }
    }
}
