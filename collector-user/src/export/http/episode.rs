use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Without another one for so long, an episode is over.
const QUIET: Duration = Duration::from_mins(1);

/// Things that happen many times in a row, and of which the first is logged.
#[derive(Debug, Default)]
pub(super) struct Episode {
    last: Mutex<Option<Instant>>,
}

impl Episode {
    /// It has happened: whether it is the first time in a while.
    pub(super) fn begins(&self) -> bool {
        self.begins_at(Instant::now())
    }

    fn begins_at(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.replace(now);
        before.is_none_or(|before| now.saturating_duration_since(before) > QUIET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_of_many_in_a_row_is_told() {
        let episode = Episode::default();
        let start = Instant::now();
        let told = [0, 30, 60, 121, 130]
            .map(|second| episode.begins_at(start + Duration::from_secs(second)));
        assert_eq!(told, [true, false, false, true, false]);
    }
}
