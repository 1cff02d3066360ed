use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::writer::Out;

/// Standard error without the lock of the standard library: a thread that blocks on a
/// full pipe would hold the lock, and block every other thread that prints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stderr;

impl Out for Stderr {
    /// A pipe that is ready accepts `PIPE_BUF` bytes: `pipe(7)`.
    fn is_ready(&self) -> bool {
        let stderr = io::stderr();
        let mut wanted = [PollFd::new(&stderr, PollFlags::OUT)];
        let ready = poll(&mut wanted, Some(&Timespec::default()));
        ready.is_ok_and(|ready| ready > 0)
    }
}

impl io::Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stderr = io::stderr();
        loop {
            match rustix::io::write(&stderr, bytes) {
                Ok(written) => return Ok(written),
                Err(rustix::io::Errno::INTR) => {}
                // Another process that shares the open file description may have set
                // O_NONBLOCK.
                Err(rustix::io::Errno::AGAIN) => {
                    let mut wanted = [PollFd::new(&stderr, PollFlags::OUT)];
                    match poll(&mut wanted, None) {
                        Ok(_) | Err(rustix::io::Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
