//! Who wants one metric, and when each is due for its next sample.

use std::sync::Arc;

use super::{mailbox::Mailbox, schedule::multiple_after};
use crate::metric::AnySample;

/// The subscribers of one metric.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    mailbox: Arc<Mailbox<AnySample>>,
    claim: Claim,
}

/// What a subscriber is entitled to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) interval: u64,
    /// Whether it gets one sample in each interval, or every sample.
    pub(super) thinned: bool,
    /// From when on it is due for its next sample.
    pub(super) due: u64,
}

/// What one delivery came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delivered {
    pub(super) samples: u64,
    /// Samples that newer ones pushed out before they were received.
    pub(super) lost: u64,
}

impl Subscribers {
    /// Adds one and says where it is.
    pub(super) fn add(&mut self, mailbox: Arc<Mailbox<AnySample>>, claim: Claim) -> usize {
        let entry = Some(Entry { mailbox, claim });
        if let Some(place) = self.free.pop() {
            self.entries[place] = entry;
            place
        } else {
            self.entries.push(entry);
            self.entries.len() - 1
        }
    }

    /// Removes the one at `place`, and says which interval it wanted.
    pub(super) fn remove(&mut self, place: usize) -> Option<u64> {
        let entry = self.entries.get_mut(place)?.take()?;
        self.free.push(place);
        Some(entry.claim.interval)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Delivers a sample that was taken at `now` to all who are due.
    pub(super) fn deliver(&mut self, sample: &AnySample, now: u64) -> Delivered {
        let mut delivered = Delivered::default();
        for entry in self.entries.iter_mut().flatten() {
            if entry.claim.due > now {
                continue;
            }
            entry.claim.advance(now);
            delivered.lost += entry.mailbox.put(sample.clone());
            delivered.samples += 1;
        }
        delivered
    }

    /// Says to all that so many samples were lost on the way to the bus.
    pub(super) fn miss(&self, count: u64) {
        for entry in self.entries.iter().flatten() {
            entry.mailbox.miss(count);
        }
    }

    /// Says to all that no more samples will come.
    pub(super) fn end(&mut self) {
        for entry in self.entries.drain(..).flatten() {
            entry.mailbox.end();
        }
        self.free.clear();
    }
}

impl Claim {
    /// The subscriber has had a sample.
    pub(super) fn advance(&mut self, now: u64) {
        self.due = if self.thinned {
            multiple_after(self.interval, now)
        } else {
            0
        };
    }
}
