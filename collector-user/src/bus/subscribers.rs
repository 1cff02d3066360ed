//! The subscriptions to one metric, and when each is due for its next sample.

use std::sync::Arc;

use super::{budget::Budget, schedule::multiple_after};
use crate::{
    feed::{Ended, Inbox, Queued, QueuedBytes},
    metric::{AnySample, Missed},
};

/// The subscribers of one metric.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    mailbox: Arc<Inbox>,
    timing: Timing,
}

/// What a subscriber is entitled to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) interval: u64,
    pub(super) pacing: Pacing,
    /// From when on it is due for its next sample.
    pub(super) due: u64,
}

/// Which samples a subscriber gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pacing {
    /// Every sample.
    All,
    /// One between two multiples of its interval.
    Aligned,
    /// One in each interval since it subscribed.
    Own,
}

/// What one outgoing came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delivered {
    pub(super) samples: u64,
    /// Samples that newer ones pushed out before they were received.
    pub(super) lost: u64,
}

/// A sample on its way to the subscribers of its metric.
pub(super) struct Outgoing<'a> {
    pub(super) sample: &'a AnySample,
    /// The bytes of its reading.
    pub(super) bytes: usize,
    pub(super) budget: &'a Budget,
    /// Made for the first queue that the sample waits in.
    held: Option<Arc<QueuedBytes>>,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(sample: &'a AnySample, bytes: usize, budget: &'a Budget) -> Self {
        Self {
            sample,
            bytes,
            budget,
            held: None,
        }
    }

    /// Puts the sample into a mailbox; returns how many it pushed out.
    pub(super) fn put_into(&mut self, mailbox: &Inbox, missed: Missed) -> u64 {
        let is_queue = mailbox.limit().count.get() > 1;
        let held = is_queue.then(|| {
            let held = self
                .held
                .get_or_insert_with(|| self.budget.hold(self.bytes));
            Arc::clone(held)
        });
        let queued = Queued {
            sample: self.sample.clone(),
            _counted: held,
        };
        mailbox.put(queued, self.bytes, missed, self.budget.queue_bytes())
    }
}

impl Subscribers {
    /// Adds a subscription; returns its index.
    pub(super) fn add(&mut self, mailbox: Arc<Inbox>, timing: Timing) -> usize {
        let entry = Some(Entry { mailbox, timing });
        if let Some(place) = self.free.pop() {
            self.entries[place] = entry;
            place
        } else {
            self.entries.push(entry);
            self.entries.len() - 1
        }
    }

    /// Removes the one at `place`; returns its interval.
    pub(super) fn remove(&mut self, place: usize) -> Option<u64> {
        let entry = self.entries.get_mut(place)?.take()?;
        self.free.push(place);
        Some(entry.timing.interval)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether any subscription is due for its next sample.
    pub(super) fn any_due(&self, now: u64) -> bool {
        self.entries
            .iter()
            .flatten()
            .any(|entry| entry.timing.due <= now)
    }

    /// All that are due.
    pub(super) fn due(&self, now: u64) -> Vec<usize> {
        let due = |entry: &Entry| entry.timing.due <= now;
        (0..self.entries.len())
            .filter(|&place| self.entries[place].as_ref().is_some_and(due))
            .collect()
    }

    /// The shortest interval of those that are due.
    pub(super) fn shortest_interval_due(&self, now: u64) -> Option<u64> {
        let due = self.entries.iter().flatten();
        due.filter(|entry| entry.timing.due <= now)
            .map(|entry| entry.timing.interval)
            .min()
    }

    /// When the first of all is due.
    pub(super) fn next_due(&self) -> Option<u64> {
        let all = self.entries.iter().flatten();
        all.map(|entry| entry.timing.due).min()
    }

    /// Delivers a sample that was due at `now` to all that are due.
    pub(super) fn deliver(&mut self, mut outgoing: Outgoing<'_>, now: u64) -> Delivered {
        let mut delivered = Delivered::default();
        for entry in self.entries.iter_mut().flatten() {
            if entry.timing.due <= now {
                entry.deliver(&mut outgoing, now, &mut delivered);
            } else {
                entry.mailbox.miss(outgoing.sample.missed);
            }
        }
        delivered
    }

    /// Delivers a sample to one that is due.
    pub(super) fn deliver_to(
        &mut self,
        place: usize,
        mut outgoing: Outgoing<'_>,
        now: u64,
    ) -> Delivered {
        let mut delivered = Delivered::default();
        if let Some(Some(entry)) = self.entries.get_mut(place) {
            entry.deliver(&mut outgoing, now, &mut delivered);
        }
        delivered
    }

    /// Reports to all what was lost on the way to the bus.
    pub(super) fn miss(&self, missed: Missed) {
        for entry in self.entries.iter().flatten() {
            entry.mailbox.miss(missed);
        }
    }

    /// Ends all subscriptions.
    pub(super) fn end(&mut self, why: &Ended) {
        for entry in self.entries.drain(..).flatten() {
            entry.mailbox.end(why.clone());
        }
        self.free.clear();
    }
}

impl Entry {
    fn deliver(&mut self, outgoing: &mut Outgoing<'_>, now: u64, delivered: &mut Delivered) {
        let skipped = self.timing.skipped_at(now);
        self.timing.advance(now);
        let mut missed = outgoing.sample.missed;
        missed += Missed::skipped(skipped);
        delivered.lost += outgoing.put_into(&self.mailbox, missed);
        delivered.samples += 1;
    }
}

impl Timing {
    /// How many due times have passed without a sample, if one is delivered
    /// now.
    fn skipped_at(&self, now: u64) -> u64 {
        match self.pacing {
            Pacing::Aligned if self.due > 0 => now.saturating_sub(self.due) / self.interval,
            Pacing::Aligned | Pacing::All | Pacing::Own => 0,
        }
    }

    /// The subscriber has had a sample.
    pub(super) fn advance(&mut self, now: u64) {
        self.due = match self.pacing {
            Pacing::All => 0,
            Pacing::Aligned => multiple_after(self.interval, now),
            Pacing::Own if self.due == 0 => now + self.interval,
            Pacing::Own => self.due + multiple_after(self.interval, now.saturating_sub(self.due)),
        };
    }
}
