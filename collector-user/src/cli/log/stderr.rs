use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::queue::Out;

/// Standard error without the lock that the standard library has for it: who
/// waits for a reader of a full pipe would hold that lock, and with it everyone
/// who has something to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stderr;

impl Out for Stderr {
    /// A pipe that is not full takes `PIPE_BUF` bytes.
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
                // Whoever shares the open file description may have made it
                // non-blocking.
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
