use std::{fs, io, path::Path};

use procfs::{Current as _, CurrentSI as _};

use crate::schedstat;

/// Fields of a process and its running threads in `/proc`.
#[derive(Clone, Debug)]
pub struct ProcTask {
    /// `R`, `S`, …: of the thread-group leader.
    pub state: char,
    /// The number of threads.
    pub threads: u64,
    /// `utime`, in nanoseconds, in steps of 10 ms.
    pub user_ns: u64,
    /// `stime`, in nanoseconds, in steps of 10 ms.
    pub system_ns: u64,
    /// On-CPU time, from `schedstat`.
    pub cpu_ns: u64,
    /// Run-queue wait, from `schedstat`.
    pub runqueue_ns: u64,
    /// From `status`.
    pub voluntary_switches: u64,
    /// From `status`.
    pub involuntary_switches: u64,
    /// Whether it is a kernel thread.
    pub is_kernel_thread: bool,
}

/// A clock tick of `/proc`: `USER_HZ` is 100 on all supported architectures.
const TICK_NS: u64 = 10_000_000;
/// `PF_KTHREAD` of `include/linux/sched.h`.
const PF_KTHREAD: u32 = 0x0020_0000;

impl ProcTask {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// When the process does not exist.
    pub fn read(pid: u32) -> io::Result<Self> {
        let process = procfs::process::Process::new(pid as i32).map_err(io::Error::other)?;
        let stat = process.stat().map_err(io::Error::other)?;
        let [cpu_ns, runqueue_ns, _times] = schedstat(pid)?;
        let (mut voluntary_switches, mut involuntary_switches) = (0, 0);
        for task in process.tasks().map_err(io::Error::other)? {
            let status = task
                .and_then(|task| task.status())
                .map_err(io::Error::other)?;
            voluntary_switches += status.voluntary_ctxt_switches.unwrap_or(0);
            involuntary_switches += status.nonvoluntary_ctxt_switches.unwrap_or(0);
        }
        Ok(Self {
            state: stat.state,
            threads: stat.num_threads as u64,
            user_ns: stat.utime * TICK_NS,
            system_ns: stat.stime * TICK_NS,
            cpu_ns,
            runqueue_ns,
            voluntary_switches,
            involuntary_switches,
            is_kernel_thread: stat.flags & PF_KTHREAD != 0,
        })
    }

    /// Whether all threads of a process are stopped.
    ///
    /// # Errors
    ///
    /// When the process does not exist.
    pub fn is_stopped(pid: u32) -> io::Result<bool> {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            if letter(&thread?.path().join("stat")) != Some('T') {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether no thread of a process runs or waits for a CPU, so that its counters do not
    /// change.
    ///
    /// The state in `stat` is set some time before the switch. `syscall` is available only
    /// for a thread that has been switched out:
    /// `task_current_syscall` of `lib/syscall.c` calls `wait_task_inactive`.
    ///
    /// # Errors
    ///
    /// When the process or the file does not exist.
    pub fn is_off_cpu(pid: u32) -> io::Result<bool> {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let text = fs::read(thread?.path().join("syscall"))?;
            if text.starts_with(b"running") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The state letter of a process; `None` if it does not exist.
    pub fn state(pid: u32) -> Option<char> {
        letter(format!("/proc/{pid}/stat").as_ref())
    }
}

/// The number of threads of the host, including kernel threads.
///
/// # Errors
///
/// When `/proc` is not mounted.
pub fn threads_of_the_host() -> io::Result<u32> {
    let load = procfs::LoadAverage::current().map_err(io::Error::other)?;
    Ok(load.max)
}

/// The number of tasks created since boot, including threads and kernel threads: `processes`
/// of `/proc/stat`.
///
/// # Errors
///
/// When `/proc` is not mounted.
pub fn tasks_made() -> io::Result<u64> {
    let stat = procfs::KernelStats::current().map_err(io::Error::other)?;
    Ok(stat.processes)
}

/// The state letter in a `stat` file.
fn letter(path: &Path) -> Option<char> {
    let text = fs::read_to_string(path).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}
