use std::{fs, io, path::Path};

use procfs::{Current as _, CurrentSI as _};

use crate::schedstat;

/// What `/proc` tells of a process and of its threads that are alive.
#[derive(Clone, Debug)]
pub struct ProcTask {
    /// `R`, `S`, …: of the leading thread.
    pub state: char,
    /// How many threads there are.
    pub threads: u64,
    /// `utime`, in nanoseconds; told in hundredths of a second.
    pub user_ns: u64,
    /// `stime`, in nanoseconds; told in hundredths of a second.
    pub system_ns: u64,
    /// Time on a CPU, by `schedstat`.
    pub cpu_ns: u64,
    /// Time of waiting for one, by `schedstat`.
    pub runqueue_ns: u64,
    /// By `status`.
    pub voluntary_switches: u64,
    /// By `status`.
    pub involuntary_switches: u64,
    /// Whether it is a thread of the kernel.
    pub is_kernel_thread: bool,
}

/// What a clock tick of `/proc` is: `USER_HZ` is 100 on all architectures that
/// these tests run on.
const TICK_NS: u64 = 10_000_000;
/// `PF_KTHREAD` of `include/linux/sched.h`.
const PF_KTHREAD: u32 = 0x0020_0000;

impl ProcTask {
    /// Reads it now.
    ///
    /// # Errors
    ///
    /// When there is no such process.
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
    /// When there is no such process.
    pub fn is_stopped(pid: u32) -> io::Result<bool> {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            if letter(&thread?.path().join("stat")) != Some('T') {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether no thread of a process has a CPU or waits for one, so that its
    /// numbers stand still.
    ///
    /// The state in `stat` is set before the switch, and there may be long in
    /// between. `syscall` is shown of a thread only that has been switched from:
    /// `task_current_syscall` of `lib/syscall.c` calls `wait_task_inactive`.
    ///
    /// # Errors
    ///
    /// When there is no such process, or the kernel has no such file.
    pub fn is_off_cpu(pid: u32) -> io::Result<bool> {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let text = fs::read(thread?.path().join("syscall"))?;
            if text.starts_with(b"running") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The state letter of a process; `None` if there is no such process.
    pub fn state(pid: u32) -> Option<char> {
        letter(format!("/proc/{pid}/stat").as_ref())
    }
}

/// How many threads the host has now, those of the kernel included.
///
/// # Errors
///
/// When `/proc` is not there.
pub fn threads_of_the_host() -> io::Result<u32> {
    let load = procfs::LoadAverage::current().map_err(io::Error::other)?;
    Ok(load.max)
}

/// How many tasks were made since boot, threads and those of the kernel
/// included: `processes` of `/proc/stat`.
///
/// # Errors
///
/// When `/proc` is not there.
pub fn tasks_made() -> io::Result<u64> {
    let stat = procfs::KernelStats::current().map_err(io::Error::other)?;
    Ok(stat.processes)
}

/// The state letter in a `stat` file.
fn letter(path: &Path) -> Option<char> {
    let text = fs::read_to_string(path).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}
