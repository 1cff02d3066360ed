//! A process that holds its own `mmap_lock` indefinitely.

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::{fd::AsRawFd as _, unix::ffi::OsStrExt as _},
    path::Path,
    ptr, thread,
    time::{Duration, Instant},
};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::{Child, helper};

/// A child that holds its `mmap_lock`, so that reads of `/proc/PID/cmdline` block as long
/// as this lives.
///
/// One of its threads waits in a page fault for a FUSE file system that never replies;
/// another waits in mmap(2) for the lock that the first holds, and later readers queue
/// behind it. It needs only access to /dev/fuse, which most distributions grant to all.
#[derive(Debug)]
pub struct HeldMemory {
    child: Child,
    folder: tempfile::TempDir,
}

const FILE: &str = "page";
/// The number of reads with an error reply, before those without a reply. A page fault
/// releases the lock when it first waits. Since per-VMA locks, Linux 6.4, the second try
/// may do so, too.
const ERRORS: [u32; 3] = [2, 1, 3];

impl HeldMemory {
    /// Starts a child that runs `helper_test` of this test binary, which calls
    /// [`hold_memory`]. `None` without FUSE, or if the kernel releases the lock after all.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start(helper_test: &str) -> io::Result<Option<Self>> {
        if !Path::new("/dev/fuse").exists() {
            return Ok(None);
        }
        for errors in ERRORS {
            let folder = tempfile::tempdir()?;
            match serve(folder.path(), errors) {
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(None),
                served => served?,
            }
            let mut command = helper(helper_test)?;
            command.env(PATH_VARIABLE, folder.path().join(FILE));
            let held = Self {
                child: Child::spawn(&mut command)?,
                folder,
            };
            if held.is_held_soon() {
                return Ok(Some(held));
            }
        }
        eprintln!(
            "whatever a FUSE file system does, this kernel gives the lock of the memory back"
        );
        Ok(None)
    }

    /// The PID of the child.
    pub const fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Whether `/proc/PID/cmdline` blocks: a read of it does not return while reads of
    /// another process return many times.
    fn is_held_soon(&self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let path = format!("/proc/{}/cmdline", self.pid());
            let reader = thread::spawn(move || fs::read(path).map(drop));
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(1) {
                thread::sleep(Duration::from_millis(20));
            }
            if !reader.is_finished() {
                return true;
            }
            if fs::read_link(format!("/proc/{}/exe", self.pid())).is_err() {
                return false;
            }
        }
        false
    }
}

impl Drop for HeldMemory {
    fn drop(&mut self) {
        // The reads that wait get an error, so that the child can be killed.
        if let Err(error) = unmount(
            self.folder.path(),
            UnmountFlags::FORCE | UnmountFlags::DETACH,
        ) {
            eprintln!("cannot unmount {}: {error}", self.folder.path().display());
        }
    }
}

const PATH_VARIABLE: &str = "COLLECTOR_TEST_PAGE";

/// The child: holds its `mmap_lock` until it is killed.
///
/// # Errors
///
/// When the file cannot be mapped.
pub fn hold_memory() -> io::Result<()> {
    const PAGE: usize = 4096;
    let path = std::env::var_os(PATH_VARIABLE).ok_or(io::ErrorKind::NotFound)?;
    let file = File::open(path)?;
    let map = |fd: i32, flags: i32| {
        // SAFETY: a new mapping, that no other code knows of.
        let page = unsafe { libc::mmap(ptr::null_mut(), PAGE, libc::PROT_READ, flags, fd, 0) };
        if page == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(page as usize)
        }
    };
    let page = map(file.as_raw_fd(), libc::MAP_PRIVATE)?;
    thread::spawn(move || {
        // SAFETY: the page is mapped, and stays so. If it cannot be read, the
        // process ends by SIGBUS.
        unsafe { ptr::read_volatile(page as *const u8) }
    });
    // By then the other thread waits for the page; if not, the lock is taken
    // and given back, and tried again.
    loop {
        thread::sleep(Duration::from_millis(200));
        map(-1, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)?;
    }
}

/// Mounts a file system with one file of one page. The first reads get an error reply, the
/// others no reply.
fn serve(folder: &Path, errors: u32) -> io::Result<()> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/fuse")?;
    let options = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0,allow_other",
        device.as_raw_fd()
    );
    let options = CString::new(options)?;
    let name = CString::new(folder.as_os_str().as_bytes())?;
    mount(
        "collector-test",
        name.as_c_str(),
        "fuse",
        MountFlags::NOSUID | MountFlags::NODEV,
        options.as_c_str(),
    )?;
    thread::spawn(move || {
        let _unmounted = answer(device, errors);
    });
    Ok(())
}

/// Replies to requests until the file system is unmounted:
/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/fuse.h#L595>.
fn answer(mut device: File, mut errors: u32) -> io::Result<()> {
    const ROOT: u64 = 1;
    let mut buffer = vec![0; 1 << 17];
    loop {
        let length = device.read(&mut buffer)?;
        let request = &buffer[..length];
        let u32_at = |at: usize| {
            let bytes = request.get(at..at + 4).and_then(|b| b.try_into().ok());
            bytes.map_or(0, u32::from_ne_bytes)
        };
        let u64_at = |at: usize| {
            let bytes = request.get(at..at + 8).and_then(|b| b.try_into().ok());
            bytes.map_or(0, u64::from_ne_bytes)
        };
        let (operation, unique, node) = (u32_at(4), u64_at(8), u64_at(16));
        let attributes = |is_root: bool| {
            let mode = if is_root { 0o40_755 } else { 0o100_644 };
            let mut words = vec![0u32; 22];
            (words[0], words[2], words[4]) = (if is_root { 1 } else { 2 }, 4096, 8);
            (words[15], words[16], words[20]) = (mode, 1, 4096);
            words
        };
        let reply = match operation {
            // LOOKUP, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT
            1 => Ok([vec![2, 0, 0, 0, 60, 0, 60, 0, 0, 0], attributes(false)].concat()),
            3 => Ok([vec![60, 0, 0, 0], attributes(node == ROOT)].concat()),
            14 => Ok(vec![1, 0, 0, 0]),
            15 if errors > 0 => {
                errors -= 1;
                Err(libc::EIO)
            }
            18 | 25 => Ok(Vec::new()),
            26 => {
                let mut words = vec![0; 16];
                (words[0], words[1], words[2]) = (7, 31, 65_536);
                (words[4], words[5], words[6]) = (12 << 16 | 16, 4096, 1);
                Ok(words)
            }
            // FORGET, INTERRUPT, BATCH_FORGET; and a read that is not answered.
            2 | 15 | 36 | 42 => continue,
            _ => Err(libc::ENOSYS),
        };
        let (error, words) = reply.map_or_else(|error| (-error, Vec::new()), |words| (0, words));
        let mut bytes = Vec::from((16 + 4 * words.len() as u32).to_ne_bytes());
        bytes.extend(error.to_ne_bytes());
        bytes.extend(unique.to_ne_bytes());
        bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        // A request may have been given up meanwhile.
        let _given_up = device.write(&bytes);
    }
}
