use std::{
    collections::{BTreeSet, VecDeque},
    io,
    process::Command,
    thread,
};

use crate::{Child, Identity, Recorded, children_cpu_ns};

/// How many threads start processes.
const STARTERS: usize = 4;
/// How many children of each are left unwaited for. The kernel tells the
/// parent of the end of a child before the child has left its CPU; by the time
/// so many others have been started it has, and `wait4` tells all it used.
const UNWAITED_FOR: usize = 128;

/// Many processes that began and ended.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Who they were.
    pub processes: BTreeSet<Identity>,
    /// What they used, by `getrusage` of their parent.
    pub cpu_ns: u64,
}

impl Crowd {
    /// Starts `/bin/true` so many times, as fast as the machine can, and waits
    /// for all of them.
    ///
    /// # Errors
    ///
    /// When one cannot be started or waited for, or when what they used is not
    /// told.
    pub fn of(count: usize) -> io::Result<Self> {
        let used_before = children_cpu_ns()?;
        let processes: BTreeSet<Identity> = start_all(count)?.into_iter().collect();
        let cpu_ns = children_cpu_ns()? - used_before;
        if processes.len() < count {
            return Err(io::Error::other("two of them cannot be told apart"));
        }
        Ok(Self { processes, cpu_ns })
    }

    /// The events of these processes.
    pub fn events_in(&self, recorded: &Recorded) -> Recorded {
        let is_ours = |pid, start_ns| self.processes.contains(&Identity::new(pid, start_ns));
        let mut ours = recorded.clone();
        ours.forks
            .retain(|fork| is_ours(fork.pid, fork.start_time_ns));
        ours.execs
            .retain(|exec| is_ours(exec.pid, exec.start_time_ns));
        ours.exits
            .retain(|exit| is_ours(exit.pid, exit.start_time_ns));
        ours
    }
}

fn start_all(count: usize) -> io::Result<Vec<Identity>> {
    thread::scope(|scope| {
        let starters: Vec<_> = (0..STARTERS)
            .map(|starter| {
                let count = count / STARTERS + usize::from(starter < count % STARTERS);
                scope.spawn(move || start(count))
            })
            .collect();
        let mut processes = Vec::with_capacity(count);
        for starter in starters {
            let started = starter
                .join()
                .map_err(|_panic| io::Error::other("a thread that starts processes panicked"))?;
            processes.extend(started?);
        }
        Ok(processes)
    })
}

fn start(count: usize) -> io::Result<Vec<Identity>> {
    let mut processes = Vec::with_capacity(count);
    let mut running = VecDeque::new();
    for _ in 0..count {
        if running.len() == UNWAITED_FOR {
            running.pop_front().map(Child::wait).transpose()?;
        }
        // Without arguments and hooks, this is `posix_spawn`.
        let child = Child::spawn(&mut Command::new("/bin/true"))?;
        processes.push(child.identity()?);
        running.push_back(child);
    }
    // The last ones may not have left their CPUs.
    thread::sleep(std::time::Duration::from_millis(100));
    for child in running {
        child.wait()?;
    }
    Ok(processes)
}
