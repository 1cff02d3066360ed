//! What was read last of the records of threads.

use slab::Slab;

use super::super::{
    account::{Located, Sleep},
    counters::Counters,
};
use crate::metric::{Asleep, Sleepers};

/// One record that is in use.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for alone")]
pub(super) struct Seen {
    /// The process of the thread.
    pub(super) process: Located,
    pub(super) counters: Counters,
    /// The last round in which a pass over all tasks came by, or in which the
    /// record was first seen.
    pub(super) round: u32,
    /// Since when it sleeps; 0 if it does not.
    pub(super) asleep_since_ns: u64,
    pub(super) is_uninterruptible: bool,
    /// Whether its process does not know of it yet, and what it used before is
    /// not to be counted.
    pub(super) is_late: bool,
    pub(super) is_leader: bool,
    pub(super) is_dead: bool,
}

impl Seen {
    /// The thread, if it sleeps by its record.
    pub(super) fn asleep(&self) -> Asleep {
        let mut asleep = Asleep::default();
        if self.asleep_since_ns != 0 {
            *asleep.of_kind(self.is_uninterruptible) = Sleepers::one(self.asleep_since_ns);
        }
        asleep
    }

    /// Takes over whether it sleeps, and returns whether that is something new.
    pub(super) fn set_asleep(&mut self, sleep: Option<Sleep>) -> bool {
        let before = (self.asleep_since_ns, self.is_uninterruptible);
        self.asleep_since_ns = sleep.map_or(0, |sleep| sleep.since_ns);
        self.is_uninterruptible = sleep.is_some_and(|sleep| sleep.is_uninterruptible);
        before != (self.asleep_since_ns, self.is_uninterruptible)
    }
}

/// The records that are in use, by their places in `THREADS`.
///
/// Records are given away in turn, so those in use are spread over all of the
/// map; what is kept of them here is as much as they are.
#[derive(Debug)]
pub(super) struct Threads {
    /// Where in `seen` a record is, or [`NOT_SEEN`].
    places: Vec<u32>,
    seen: Slab<Seen>,
}

const NOT_SEEN: u32 = u32::MAX;

impl Threads {
    pub(super) fn new(records: u32) -> Self {
        Self {
            places: vec![NOT_SEEN; records as usize],
            seen: Slab::new(),
        }
    }

    pub(super) fn get(&self, record: u32) -> Option<&Seen> {
        let place = *self.places.get(record as usize)?;
        self.seen.get(place as usize)
    }

    pub(super) fn get_mut(&mut self, record: u32) -> Option<&mut Seen> {
        let place = *self.places.get(record as usize)?;
        self.seen.get_mut(place as usize)
    }

    /// As [`get_mut`](Self::get_mut); a record that was not in use is from now
    /// on. `None` if the map has no such record.
    pub(super) fn get_or_insert(&mut self, record: u32) -> Option<&mut Seen> {
        let place = self.places.get_mut(record as usize)?;
        if *place == NOT_SEEN {
            *place = self.seen.insert(Seen::default()) as u32;
        }
        self.seen.get_mut(*place as usize)
    }

    /// A record is not in use any more.
    pub(super) fn take(&mut self, record: u32) -> Option<Seen> {
        let place = self.places.get_mut(record as usize)?;
        let seen = self.seen.try_remove(*place as usize)?;
        *place = NOT_SEEN;
        if self.seen.capacity() > 4 * self.seen.len().max(128) {
            self.shrink();
        }
        Some(seen)
    }

    /// Many that came and went leave no memory behind.
    fn shrink(&mut self) {
        let mut seen = Slab::with_capacity(2 * self.seen.len());
        for place in &mut self.places {
            if let Some(kept) = self.seen.try_remove(*place as usize) {
                *place = seen.insert(kept) as u32;
            }
        }
        self.seen = seen;
    }

    /// The records in use of which something holds.
    pub(super) fn that(&self, holds: impl Fn(&Seen) -> bool) -> Vec<u32> {
        let records = (0..).zip(&self.places);
        records
            .filter(|&(_record, &place)| self.seen.get(place as usize).is_some_and(&holds))
            .map(|(record, _place)| record)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Threads;

    #[test]
    fn those_that_stay_are_found_after_many_have_gone() {
        let mut threads = Threads::new(10_000);
        for record in 0..10_000 {
            threads.get_or_insert(record).expect("there is one").round = record;
        }
        assert!(threads.get_or_insert(10_000).is_none());
        for record in (0..10_000).filter(|record| record % 1_000 != 7) {
            assert_eq!(threads.take(record).map(|seen| seen.round), Some(record));
        }
        assert!(threads.seen.capacity() <= 512);
        assert!(threads.take(8).is_none());
        let left: Vec<u32> = (0..10).map(|number| 1_000 * number + 7).collect();
        assert_eq!(threads.that(|_seen| true), left);
        for record in left {
            assert_eq!(threads.get(record).map(|seen| seen.round), Some(record));
        }
    }
}
