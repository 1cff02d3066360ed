use std::{
    collections::{BTreeSet, VecDeque},
    io,
    process::Command,
    thread,
};

use crate::{Child, Recorded, children_cpu_ns};

/// How many threads start processes.
const STARTERS: usize = 4;
/// How many children of each are left unwaited for. The kernel tells the
/// parent of the end of a child before the child has left its CPU; by the time
/// so many others have been started it has, and `wait4` tells all it used.
const UNWAITED_FOR: usize = 128;

/// Many processes that began and ended.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Their numbers.
    pub pids: BTreeSet<u32>,
    /// What they used, by `getrusage` of their parent.
    pub cpu_ns: u64,
    /// When they began to be started, since boot.
    began_ns: u64,
}

impl Crowd {
    /// Starts `/bin/true` so many times, as fast as the machine can, and waits
    /// for all of them.
    ///
    /// # Errors
    ///
    /// When one cannot be started or waited for, when what they used is not
    /// told, or when a number was given twice.
    pub fn of(count: usize) -> io::Result<Self> {
        let began_ns = since_boot_ns();
        let used_before = children_cpu_ns()?;
        let pids: BTreeSet<u32> = start_all(count)?.into_iter().collect();
        let cpu_ns = children_cpu_ns()? - used_before;
        if pids.len() < count {
            return Err(io::Error::other("a number was given to two of them"));
        }
        Ok(Self {
            pids,
            cpu_ns,
            began_ns,
        })
    }

    /// The events of these processes.
    ///
    /// Their numbers do not tell: one may have been that of a process that was
    /// there before and ended meanwhile.
    pub fn events_in(&self, recorded: &Recorded) -> Recorded {
        let is_ours =
            |pid, start_time_ns| start_time_ns >= self.began_ns && self.pids.contains(&pid);
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

/// Now, as the beginnings of processes are told.
fn since_boot_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn start_all(count: usize) -> io::Result<Vec<u32>> {
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
