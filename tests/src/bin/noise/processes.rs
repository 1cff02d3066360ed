//! Short-lived processes.

use std::{io, process::Command};

use collector_tests::{Child, fork};

/// Processes that start together and exit at once. Returns their number.
pub(crate) fn fork_and_wait(count: usize) -> io::Result<u64> {
    let mut children = Vec::with_capacity(count);
    for _ in 0..count {
        // SAFETY: the function does nothing.
        children.push(unsafe { fork(0, None, || {}) }?);
    }
    for child in children {
        child.wait()?;
    }
    Ok(count as u64)
}

/// Two execs, one after the other.
pub(crate) fn exec_and_wait() -> io::Result<u64> {
    for _ in 0..2 {
        Child::spawn(&mut Command::new("/bin/true"))?.wait()?;
    }
    Ok(2)
}
