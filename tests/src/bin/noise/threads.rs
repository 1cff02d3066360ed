//! Short-lived threads, and threads that wake each other.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

/// The number of wakeups in a round.
const HANDS: u32 = 20;

/// Two short-lived threads. Returns their number.
pub(crate) fn begin_and_end() -> io::Result<u64> {
    let threads = [0; 2].map(|_| thread::Builder::new().spawn(|| {}));
    for thread in threads {
        thread?.join().map_err(|_panic| panicked())?;
    }
    Ok(2)
}

/// Two threads that wake each other in turn.
pub(crate) struct Relay {
    begin: SyncSender<u32>,
    end: Receiver<()>,
}

impl Relay {
    pub(crate) fn start() -> Self {
        let (begin, first) = sync_channel(1);
        let (to_second, second) = sync_channel(1);
        let (done, end) = sync_channel(1);
        let back = begin.clone();
        thread::spawn(move || {
            for left in first {
                if to_second.send(left).is_err() {
                    return;
                }
            }
        });
        thread::spawn(move || {
            for left in second {
                let is_gone = match left {
                    0 => done.send(()).is_err(),
                    left => back.send(left - 1).is_err(),
                };
                if is_gone {
                    return;
                }
            }
        });
        Self { begin, end }
    }

    /// Returns the number of wakeups.
    pub(crate) fn run(&self) -> io::Result<u64> {
        self.begin.send(HANDS / 2 - 1).map_err(|_gone| panicked())?;
        self.end.recv().map_err(|_gone| panicked())?;
        Ok(u64::from(HANDS))
    }
}

fn panicked() -> io::Error {
    io::Error::other("a thread panicked")
}
