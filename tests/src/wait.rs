use std::{
    thread,
    time::{Duration, Instant},
};

use crate::here_or_emulated;

/// Waits until a condition is true, at most two minutes, or four under emulation.
///
/// # Panics
///
/// When the time has expired, with `what` in the message.
#[track_caller]
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(here_or_emulated(120, 240));
    while !is_so() {
        assert!(Instant::now() < deadline, "it is not so: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
