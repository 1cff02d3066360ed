use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use collector::source::name_text;

/// A cgroup of a test. A drop kills its processes and removes it.
#[derive(Debug)]
pub struct TestCgroup {
    folder: PathBuf,
    path: String,
}

impl TestCgroup {
    /// Creates a cgroup in the v2 hierarchy.
    ///
    /// # Errors
    ///
    /// When it is not mounted, or the cgroup cannot be created.
    pub fn version_2(name: impl AsRef<OsStr>) -> io::Result<Self> {
        let mount = mounted("cgroup2", "")
            .ok_or_else(|| io::Error::other("no hierarchy of version 2 is mounted"))?;
        Self::make(&mount, name.as_ref())
    }

    /// Creates a cgroup in the v1 hierarchy of this controller; `None` without that
    /// hierarchy.
    ///
    /// # Errors
    ///
    /// When the cgroup cannot be created.
    pub fn version_1(controller: &str, name: &str) -> io::Result<Option<Self>> {
        mounted("cgroup", controller)
            .map(|mount| Self::make(&mount, name.as_ref()))
            .transpose()
    }

    fn make(mount: &Path, name: &OsStr) -> io::Result<Self> {
        let mut file_name = OsString::from(format!("collector-test-{}-", std::process::id()));
        file_name.push(name);
        let folder = mount.join(&file_name);
        fs::create_dir(&folder)?;
        let path = format!("/{}", name_text(file_name.as_bytes()));
        Ok(Self { folder, path })
    }

    /// The path from the root of the hierarchy.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The cgroup ID.
    ///
    /// # Errors
    ///
    /// When it has been removed.
    pub fn id(&self) -> io::Result<u64> {
        Ok(fs::metadata(&self.folder)?.ino())
    }

    /// The path of `cgroup.procs`.
    pub fn procs(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// Moves a process into this cgroup.
    ///
    /// # Errors
    ///
    /// When the write fails.
    pub fn take(&self, pid: u32) -> io::Result<()> {
        fs::write(self.procs(), pid.to_string())
    }

    /// `usage_usec` of `cpu.stat`, in nanoseconds.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn cpu_ns(&self) -> io::Result<u64> {
        let text = fs::read_to_string(self.folder.join("cpu.stat"))?;
        let usage = text
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "));
        let usage = usage.and_then(|usage| usage.trim().parse::<u64>().ok());
        usage
            .map(|usage| usage * 1_000)
            .ok_or_else(|| io::Error::other("cpu.stat has no usage_usec"))
    }
}

impl Drop for TestCgroup {
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while fs::remove_dir(&self.folder).is_err() && self.folder.exists() {
            for pid in fs::read_to_string(self.procs()).unwrap_or_default().lines() {
                if let Ok(pid) = pid.parse::<i32>() {
                    // SAFETY: the call takes no pointers.
                    unsafe { libc::kill(pid, libc::SIGKILL) };
                }
            }
            if Instant::now() > deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The mount point of a hierarchy of this type, and with this option.
fn mounted(kind: &str, option: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, found, options) = (words.next()?, words.next()?, words.next()?);
        let has_option = option.is_empty() || options.split(',').any(|word| word == option);
        (found == kind && has_option).then(|| PathBuf::from(place))
    })
}
