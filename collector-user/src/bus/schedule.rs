//! When a metric is due. Pure arithmetic on nanoseconds: it reads no clock.

use std::{collections::BTreeMap, time::Duration};

/// Failures after which the next attempt still comes at the usual pace.
const FAILURES_AT_USUAL_PACE: u32 = 2;

/// The longest delay between two attempts, unless the pace is slower still.
const LONGEST_BACKOFF: u64 = Duration::from_mins(5).as_nanos() as u64;

/// How long a new subscription waits for the next due time, so that the metric
/// is not collected twice in short order.
const SOON: u64 = Duration::from_millis(100).as_nanos() as u64;

/// When one metric is due: at the multiples of the shortest interval of any
/// subscription, at once for a new subscription, and later when it fails.
#[derive(Debug)]
pub(super) struct Schedule {
    floor: u64,
    /// The number of subscriptions at each interval.
    intervals: BTreeMap<u64, usize>,
    aligned: Option<u64>,
    at_once: Option<u64>,
    last_start: Option<u64>,
    failures: u32,
    retry_from: u64,
}

/// A metric is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// How long ago it became due.
    pub(super) lateness: u64,
    /// Due times that have passed since, which are not made up for.
    pub(super) skipped: u64,
}

impl Schedule {
    pub(super) fn new(floor: Duration) -> Self {
        Self {
            floor: (floor.as_nanos() as u64).max(1),
            intervals: BTreeMap::new(),
            aligned: None,
            at_once: None,
            last_start: None,
            failures: 0,
            retry_from: 0,
        }
    }

    /// The shortest interval at which the metric may be collected.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// The interval at which the metric is collected; `None` without a subscription.
    pub(super) fn pace(&self) -> Option<u64> {
        self.intervals.keys().next().copied()
    }

    /// Failures since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// A new subscription at `interval`, which is not below the floor. If that
    /// changes the pace, the result is the due time that is given up for a later
    /// one.
    pub(super) fn add_interval(&mut self, interval: u64, now: u64) -> Option<u64> {
        let before = self.pace();
        *self.intervals.entry(interval).or_insert(0) += 1;
        self.follow_pace(before, now)
    }

    /// A subscription at `interval` was dropped. The result is as that of
    /// [`add_interval`](Self::add_interval).
    pub(super) fn remove_interval(&mut self, interval: u64, now: u64) -> Option<u64> {
        let before = self.pace();
        if let Some(count) = self.intervals.get_mut(&interval) {
            *count -= 1;
            if *count == 0 {
                self.intervals.remove(&interval);
            }
        }
        if self.pace().is_none() {
            self.at_once = None;
        }
        self.follow_pace(before, now)
    }

    /// Keeps a due time that the pace does not ask for any more.
    pub(super) fn keep(&mut self, planned: u64) {
        self.at_once = Some(self.at_once.map_or(planned, |asked| asked.min(planned)));
    }

    /// Makes the metric due as soon as it may be, if its next due time is not
    /// soon enough anyway.
    pub(super) fn ask_at_once(&mut self, now: u64) {
        let at = self.earliest(now);
        if self
            .aligned
            .is_none_or(|aligned| aligned > at.saturating_add(SOON))
        {
            self.keep(at);
        }
    }

    /// When the metric is due next.
    pub(super) fn next(&self) -> Option<u64> {
        match (self.aligned, self.at_once) {
            (Some(aligned), Some(at_once)) => Some(aligned.min(at_once)),
            (aligned, at_once) => aligned.or(at_once),
        }
    }

    /// Whether the metric is due.
    pub(super) fn due(&self, now: u64) -> Option<Due> {
        let next = self.next().filter(|&next| next <= now)?;
        let skipped = match (self.pace(), self.aligned) {
            (Some(pace), Some(aligned)) if aligned <= now => (now - aligned) / pace,
            _ => 0,
        };
        Some(Due {
            lateness: now - next,
            skipped,
        })
    }

    /// Whether a collection may begin, due or not.
    pub(super) fn may_start(&self, now: u64) -> bool {
        self.earliest(now) <= now
    }

    /// Until when the metric is left alone because it has failed so often.
    pub(super) fn retry_from(&self) -> u64 {
        self.retry_from
    }

    /// A collection begins.
    pub(super) fn started(&mut self, now: u64) {
        // A timer is always a little late. Counted from there, the floor would
        // rule out the next due time of a pace that is as fast as the floor.
        let due = self.pace().map_or(now, |pace| now / pace * pace);
        let was_due = self.aligned.is_some_and(|aligned| aligned <= now);
        let in_time = was_due && now - due <= self.floor / 4;
        self.last_start = Some(if in_time { due } else { now });
        self.at_once = None;
        self.realign(now);
    }

    /// What is due cannot be collected: the collection before it still runs.
    pub(super) fn skip(&mut self, now: u64) {
        self.at_once = None;
        self.realign(now);
    }

    /// A collection succeeded.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.retry_from = 0;
    }

    /// A collection failed: after some failures the attempts become rare.
    pub(super) fn failed(&mut self, now: u64) {
        self.failures = self.failures.saturating_add(1);
        if self.failures > FAILURES_AT_USUAL_PACE {
            let base = self.pace().unwrap_or(self.floor);
            let doublings = (self.failures - FAILURES_AT_USUAL_PACE).min(32);
            let delay = base
                .saturating_mul(1 << doublings)
                .min(LONGEST_BACKOFF.max(base));
            self.retry_from = now.saturating_add(delay);
            self.realign(now);
        }
    }

    /// The first moment, from `now` on, at which a collection may begin.
    fn earliest(&self, now: u64) -> u64 {
        let after_last = self.last_start.map_or(0, |start| start + self.floor);
        now.max(after_last).max(self.retry_from)
    }

    fn follow_pace(&mut self, before: Option<u64>, now: u64) -> Option<u64> {
        if self.pace() == before {
            return None;
        }
        let planned = self.aligned;
        self.realign(now);
        planned.filter(|&planned| self.aligned.is_some_and(|aligned| planned < aligned))
    }

    fn realign(&mut self, now: u64) {
        let earliest = self.earliest(now + 1);
        self.aligned = self
            .pace()
            .map(|pace| earliest.div_ceil(pace).saturating_mul(pace));
    }
}

/// The first multiple of `interval` after `now`.
pub(super) fn multiple_after(interval: u64, now: u64) -> u64 {
    (now / interval + 1).saturating_mul(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn schedule() -> Schedule {
        let mut schedule = Schedule::new(Duration::from_millis(100));
        assert_eq!(schedule.add_interval(100 * MS, 950 * MS), None);
        assert_eq!(schedule.next(), Some(1_000 * MS));
        schedule
    }

    #[test]
    fn a_tick_that_is_a_little_late_does_not_cost_the_next_one() {
        let mut schedule = schedule();
        schedule.started(1_002 * MS);
        assert_eq!(schedule.next(), Some(1_100 * MS));
    }

    #[test]
    fn after_a_tick_that_is_very_late_the_floor_is_kept() {
        let mut schedule = schedule();
        schedule.started(1_060 * MS);
        assert_eq!(schedule.next(), Some(1_200 * MS));
    }
}
