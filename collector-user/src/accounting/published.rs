use std::{collections::BTreeMap, sync::Arc};

use super::{ProcessKey, clock::RowTimes, in_flight::ProcessInFlight};
use crate::metric::{Process, ProcessList};

/// The rows of the last reading, of which the next one replaces those that
/// changed.
#[derive(Debug, Default)]
pub(super) struct PublishedRows {
    rows: ProcessList,
    /// The processes with time in flight in the last reading.
    in_flight: BTreeMap<ProcessKey, ProcessInFlight>,
    times: RowTimes,
    rows_built: u64,
}

impl PublishedRows {
    pub(super) fn advance_to(&mut self, monotonic_ns: u64) {
        self.times.now_ns = self.times.now_ns.max(monotonic_ns);
    }

    pub(super) const fn times(&self) -> RowTimes {
        self.times
    }

    pub(super) fn remove(&mut self, key: ProcessKey) {
        self.rows.remove(key.pid, key.start_ns);
    }

    pub(super) fn insert(&mut self, row: Arc<Process>) {
        self.rows.insert_shared(row);
        self.rows_built += 1;
    }

    pub(super) fn set_in_flight(&mut self, in_flight: BTreeMap<ProcessKey, ProcessInFlight>) {
        self.in_flight = in_flight;
    }

    /// Takes out the time in flight of the last reading.
    pub(super) fn take_in_flight(&mut self) -> BTreeMap<ProcessKey, ProcessInFlight> {
        std::mem::take(&mut self.in_flight)
    }

    /// The rows, as of now.
    pub(super) fn rows(&mut self) -> ProcessList {
        self.times.published_ns = self.times.now_ns;
        self.rows.set_as_of(self.times.now_ns);
        self.rows.copy()
    }

    /// The number of rows built since the start.
    pub(super) const fn rows_built(&self) -> u64 {
        self.rows_built
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
