use std::{
    io,
    os::unix::process::ExitStatusExt as _,
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use crate::Identity;

/// The rusage of an exited child.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Its exit status.
    pub status: ExitStatus,
    /// CPU time: user and system.
    pub cpu: Duration,
    /// User time.
    pub user: Duration,
    /// Voluntary context switches.
    pub voluntary_switches: u64,
    /// Involuntary context switches.
    pub involuntary_switches: u64,
    /// Minor page faults.
    pub minor_faults: u64,
    /// Major page faults.
    pub major_faults: u64,
}

/// A child that is reaped with wait4(2), which returns its rusage. A drop kills it if it was
/// not reaped.
#[derive(Debug)]
pub struct Child {
    pid: u32,
    is_waited_for: bool,
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_waited_for {
            self.signal(libc::SIGKILL);
            let _it_is_gone = self.wait_for();
        }
    }
}

impl Child {
    /// Starts a command with /dev/null as its standard streams.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self::of(child.id()))
    }

    /// A child of this process that was started in another way.
    pub(crate) const fn of(pid: u32) -> Self {
        Self {
            pid,
            is_waited_for: false,
        }
    }

    /// The PID.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Its identity, which is valid after its PID is reused, too.
    ///
    /// # Errors
    ///
    /// When `/proc` cannot be read.
    pub fn identity(&self) -> io::Result<Identity> {
        Identity::of(self.pid)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: the call takes no pointers. The child has not been waited
        // for, so the number is still its own.
        unsafe { libc::kill(self.pid as i32, signal) };
    }

    /// Reaps it.
    ///
    /// # Errors
    ///
    /// When it is no longer a child of this process.
    pub fn wait(mut self) -> io::Result<Usage> {
        self.wait_for()
    }

    fn wait_for(&mut self) -> io::Result<Usage> {
        self.is_waited_for = true;
        let mut status = 0;
        // SAFETY: all zeros is a value of this structure of integers.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        loop {
            // SAFETY: both pointers are to values of this function.
            let waited =
                unsafe { libc::wait4(self.pid as i32, &raw mut status, 0, &raw mut usage) };
            if waited >= 0 {
                break;
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        let time = |time: libc::timeval| {
            Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
        };
        Ok(Usage {
            status: ExitStatus::from_raw(status),
            cpu: time(usage.ru_utime) + time(usage.ru_stime),
            user: time(usage.ru_utime),
            voluntary_switches: usage.ru_nvcsw as u64,
            involuntary_switches: usage.ru_nivcsw as u64,
            minor_faults: usage.ru_minflt as u64,
            major_faults: usage.ru_majflt as u64,
        })
    }
}

/// A command that runs an ignored test of this test binary as a child process, so that
/// tests need no other program on the host.
///
/// # Errors
///
/// When the path of this binary is unknown.
pub fn helper(test: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([
        "--exact",
        test,
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    Ok(command)
}

/// Uses this much CPU time in the current thread.
pub fn burn_cpu_ms(ms: u64) {
    let used = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        now.tv_sec as u64 * 1_000 + now.tv_nsec as u64 / 1_000_000
    };
    let end = used() + ms;
    let mut value = 1u64;
    while used() < end {
        for _ in 0..10_000 {
            value = std::hint::black_box(value.wrapping_mul(6_364_136_223_846_793_005) + 1);
        }
    }
}
