use std::{
    thread,
    time::{Duration, Instant},
};

use crate::here_or_emulated;

/// Waits until something is so, at most two minutes, or four where the CPU is
/// emulated.
///
/// # Panics
///
/// When it does not come about, with what it was.
#[track_caller]
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(here_or_emulated(120, 240));
    while !is_so() {
        assert!(Instant::now() < deadline, "it is not so: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
