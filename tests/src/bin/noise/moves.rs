use std::io;

use collector_tests::{Child, TestCgroup, fork};

/// The number of moves before one of the cgroups is created anew.
const MOVES_A_CGROUP: u64 = 25;

/// A process that is moved between two cgroups, one of which is removed and created again
/// from time to time.
pub(crate) struct Moves {
    /// Dropped before the cgroups.
    moved: Child,
    cgroups: [TestCgroup; 2],
    moves: u64,
}

impl Moves {
    /// # Errors
    ///
    /// When a cgroup cannot be created, or the process cannot be moved.
    pub(crate) fn new() -> io::Result<Self> {
        let cgroups = [cgroup(0)?, cgroup(1)?];
        // SAFETY: the function makes system calls only.
        let moved = unsafe { fork(0, None, run_and_sleep) }?;
        let mut moves = Self {
            moved,
            cgroups,
            moves: 0,
        };
        moves.move_on()?;
        Ok(moves)
    }

    /// Moves it. Returns the number of moves.
    pub(crate) fn move_on(&mut self) -> io::Result<u64> {
        let to = (self.moves % 2) as usize;
        if self.moves > 0 && self.moves.is_multiple_of(MOVES_A_CGROUP) {
            // It is in the other cgroup.
            self.cgroups[to] = cgroup(self.moves + 1)?;
        }
        self.cgroups[to].take(self.moved.pid())?;
        self.moves += 1;
        Ok(1)
    }
}

fn cgroup(number: u64) -> io::Result<TestCgroup> {
    TestCgroup::version_2(format!("noise-{number}"))
}

/// Sleeps until it is killed, at the latest when its parent exits.
fn run_and_sleep() {
    let nap = libc::timespec {
        tv_sec: 0,
        tv_nsec: 2_000_000,
    };
    // SAFETY: the call takes no pointer.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // SAFETY: the call takes no pointer.
    while unsafe { libc::getppid() } != 1 {
        // SAFETY: the first pointer is to a value of this function.
        unsafe { libc::nanosleep(&raw const nap, std::ptr::null_mut()) };
    }
}
