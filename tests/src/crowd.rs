use std::{collections::VecDeque, io, process::Command, thread};

use crate::Child;

/// How many threads start processes.
const STARTERS: usize = 4;
/// How many children of each are left unwaited for. The kernel tells the
/// parent of the end of a child before the child has left its CPU; by the time
/// so many others have been started it has, and `wait4` tells all it used.
const UNWAITED_FOR: usize = 128;

/// Starts `/bin/true` so many times, as fast as the machine can, waits for all
/// of them, and returns their numbers.
///
/// # Errors
///
/// When one cannot be started or waited for.
pub fn crowd(count: usize) -> io::Result<Vec<u32>> {
    thread::scope(|scope| {
        let starters: Vec<_> = (0..STARTERS)
            .map(|starter| {
                let count = count / STARTERS + usize::from(starter < count % STARTERS);
                scope.spawn(move || start(count))
            })
            .collect();
        let mut pids = Vec::with_capacity(count);
        for starter in starters {
            let started = starter
                .join()
                .map_err(|_panic| io::Error::other("a thread that starts processes panicked"))?;
            pids.extend(started?);
        }
        Ok(pids)
    })
}

fn start(count: usize) -> io::Result<Vec<u32>> {
    let mut pids = Vec::with_capacity(count);
    let mut running = VecDeque::new();
    for _ in 0..count {
        if running.len() == UNWAITED_FOR {
            running.pop_front().map(Child::wait).transpose()?;
        }
        // Without arguments and hooks, this is `posix_spawn`.
        let child = Child::spawn(&mut Command::new("/bin/true"))?;
        pids.push(child.pid());
        running.push_back(child);
    }
    // The last ones may not have left their CPUs.
    thread::sleep(std::time::Duration::from_millis(100));
    for child in running {
        child.wait()?;
    }
    Ok(pids)
}
