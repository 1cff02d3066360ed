use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// An episode ends after this time without another event.
const QUIET: Duration = Duration::from_mins(1);

/// A series of similar events, of which only the first is logged.
#[derive(Debug, Default)]
pub(super) struct Episode {
    last: Mutex<Option<Instant>>,
}

impl Episode {
    /// Records an event. Returns whether it is the first of an episode.
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
    fn only_the_first_event_of_an_episode_is_logged() {
        let episode = Episode::default();
        let start = Instant::now();
        let first = [0, 30, 60, 121, 130]
            .map(|second| episode.begins_at(start + Duration::from_secs(second)));
        assert_eq!(first, [true, false, false, true, false]);
    }
}
