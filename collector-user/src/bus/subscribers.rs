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
    pub(super) rhythm: Rhythm,
    /// From when on it is due for its next sample.
    pub(super) due: u64,
}

/// Which samples a subscriber gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rhythm {
    /// Each that there is.
    All,
    /// One between two multiples of its interval.
    Aligned,
    /// One in each interval since it subscribed.
    Own,
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

    /// Whether anybody waits for the next sample already.
    pub(super) fn any_due(&self, now: u64) -> bool {
        self.entries
            .iter()
            .flatten()
            .any(|entry| entry.claim.due <= now)
    }

    /// The places of all who are due.
    pub(super) fn places_due(&self, now: u64) -> Vec<usize> {
        let due = |entry: &Entry| entry.claim.due <= now;
        (0..self.entries.len())
            .filter(|&place| self.entries[place].as_ref().is_some_and(due))
            .collect()
    }

    /// The shortest interval of those who are due.
    pub(super) fn shortest_interval_due(&self, now: u64) -> Option<u64> {
        let due = self.entries.iter().flatten();
        due.filter(|entry| entry.claim.due <= now)
            .map(|entry| entry.claim.interval)
            .min()
    }

    /// When the first of all is due.
    pub(super) fn next_due(&self) -> Option<u64> {
        let all = self.entries.iter().flatten();
        all.map(|entry| entry.claim.due).min()
    }

    /// Delivers a sample that was taken at `now` to all who are due.
    pub(super) fn deliver(&mut self, sample: &AnySample, now: u64) -> Delivered {
        let mut delivered = Delivered::default();
        for entry in self.entries.iter_mut().flatten() {
            if entry.claim.due <= now {
                entry.deliver(sample, now, &mut delivered);
            }
        }
        delivered
    }

    /// Delivers a sample to one who is due.
    pub(super) fn deliver_to(&mut self, place: usize, sample: &AnySample, now: u64) -> Delivered {
        let mut delivered = Delivered::default();
        if let Some(Some(entry)) = self.entries.get_mut(place) {
            entry.deliver(sample, now, &mut delivered);
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

impl Entry {
    fn deliver(&mut self, sample: &AnySample, now: u64, delivered: &mut Delivered) {
        self.claim.advance(now);
        delivered.lost += self.mailbox.put(sample.clone());
        delivered.samples += 1;
    }
}

impl Claim {
    /// The subscriber has had a sample.
    pub(super) fn advance(&mut self, now: u64) {
        self.due = match self.rhythm {
            Rhythm::All => 0,
            Rhythm::Aligned => multiple_after(self.interval, now),
            Rhythm::Own if self.due == 0 => now + self.interval,
            Rhythm::Own => self.due + multiple_after(self.interval, now.saturating_sub(self.due)),
        };
    }
}
