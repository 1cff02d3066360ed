use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};

use super::{
    Entries, SourceError,
    bound::{Beyond, Bound},
    name::name_bytes,
};

/// The directory under which `proc` and `sys` are, and the way to what is in it.
///
/// Under the live root a path is resolved as usual. Under any other root it is
/// resolved as if that were `/`: absolute links and `..` inside the tree stay
/// inside it, so `DIR/proc/mounts -> /proc/self/mounts` is that of the capture,
/// and no link leads out. That is `RESOLVE_IN_ROOT`, since Linux 5.6:
/// <https://man7.org/linux/man-pages/man2/openat2.2.html>. Where the call is not
/// to be had nothing of such a root is read.
///
/// A path is the text of its names: see [`name_text`](super::name_text).
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    live: bool,
    directory: OnceLock<OwnedFd>,
}

/// How much text the names of one directory may be.
const MAX_DIRECTORY_BYTES: usize = 16 * 1024 * 1024;
/// How often a path is resolved again when the kernel could not tell whether
/// `..` left the root, since something was renamed or mounted meanwhile.
const RESOLVE_TRIES: u32 = 64;

impl Root {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            live: path == Path::new("/"),
            path,
            directory: OnceLock::new(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// Where a path of a live host is under this root.
    pub(super) fn full_path(&self, path: &str) -> PathBuf {
        let bytes = name_bytes(path.trim_start_matches('/'));
        self.path.join(OsStr::from_bytes(&bytes))
    }

    /// Opens a file for reading, if it is a regular file that is not too large.
    ///
    /// Under the live root, `O_NONBLOCK` keeps the open of a FIFO from waiting
    /// for its writer; it changes nothing for regular files. Under any other
    /// root nothing is opened before it is known to be a regular file: to open
    /// a device may do something already.
    pub(super) fn open_file(&self, path: &str) -> Result<OwnedFd, SourceError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        if self.live {
            let file = self.open(path, flags)?;
            self.check(path, &self.stat(path, &file)?)?;
            return Ok(file);
        }
        let found = self.open(path, OFlags::PATH)?;
        self.check(path, &self.stat(path, &found)?)?;
        // There is no other way to open what a descriptor of `O_PATH` is of.
        let opened = rustix::fs::openat(
            rustix::fs::CWD,
            format!("/proc/self/fd/{}", found.as_raw_fd()),
            flags | OFlags::CLOEXEC,
            Mode::empty(),
        );
        opened.map_err(|errno| SourceError::io("open", self.full_path(path), errno))
    }

    fn stat(&self, path: &str, file: &OwnedFd) -> Result<Stat, SourceError> {
        rustix::fs::fstat(file)
            .map_err(|errno| SourceError::io("stat", self.full_path(path), errno))
    }

    fn check(&self, path: &str, stat: &Stat) -> Result<(), SourceError> {
        let found = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let bound = Bound::of(path);
                let is_too_large = usize::try_from(stat.st_size).is_ok_and(|n| n > bound.bytes);
                return if is_too_large && bound.beyond == Beyond::Refuse {
                    Err(self.too_large(path, bound.bytes))
                } else {
                    Ok(())
                };
            }
            FileType::Directory => "a directory",
            FileType::Fifo => "a FIFO",
            FileType::Socket => "a socket",
            FileType::CharacterDevice | FileType::BlockDevice => "a device",
            _ => "something else",
        };
        Err(SourceError::NotAFile {
            path: self.full_path(path),
            found,
        })
    }

    pub(super) fn too_large(&self, path: &str, limit: usize) -> SourceError {
        SourceError::TooLarge {
            path: self.full_path(path),
            limit,
        }
    }

    /// Opens a directory, to learn about it.
    pub(super) fn open_directory(&self, path: &str) -> Result<OwnedFd, SourceError> {
        self.open(path, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// The names in a directory.
    pub(super) fn read_dir(&self, path: &str) -> Result<Entries, SourceError> {
        let directory = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let failed = |errno| SourceError::io("read directory", self.full_path(path), errno);
        let mut entries = Entries::default();
        for entry in rustix::fs::Dir::new(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            match entry.file_name().to_bytes() {
                b"." | b".." => {}
                name => entries.push(name),
            }
            if entries.bytes() > MAX_DIRECTORY_BYTES {
                return Err(self.too_large(path, MAX_DIRECTORY_BYTES));
            }
        }
        Ok(entries)
    }

    /// What a symbolic link says.
    pub(super) fn read_link(&self, path: &str) -> Result<PathBuf, SourceError> {
        let failed = |errno| SourceError::io("read link", self.full_path(path), errno);
        let target = if self.live {
            rustix::fs::readlink(&*name_bytes(path), Vec::new())
        } else {
            let link = self.open(path, OFlags::PATH | OFlags::NOFOLLOW)?;
            rustix::fs::readlinkat(link, "", Vec::new())
        };
        let target = target.map_err(failed)?;
        Ok(PathBuf::from(OsStr::from_bytes(target.as_bytes())))
    }

    fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, SourceError> {
        let flags = flags | OFlags::CLOEXEC;
        let failed = |errno| SourceError::io("open", self.full_path(path), errno);
        if self.live {
            let path = name_bytes(path);
            let opened = rustix::fs::openat(rustix::fs::CWD, &*path, flags, Mode::empty());
            return opened.map_err(failed);
        }
        let root = self.directory().map_err(failed)?;
        let name = name_bytes(path.trim_start_matches('/'));
        // The root itself has no name in it.
        let name: &[u8] = if name.is_empty() { b"." } else { &name };
        let mut tries = RESOLVE_TRIES;
        loop {
            let opened =
                rustix::fs::openat2(root, name, flags, Mode::empty(), ResolveFlags::IN_ROOT);
            match opened {
                Err(Errno::AGAIN) if tries > 0 => tries -= 1,
                // Nothing else makes `openat2` answer `EPERM` to these flags
                // but a seccomp filter that does not know the call.
                Err(errno @ (Errno::NOSYS | Errno::PERM)) => {
                    return Err(SourceError::NoOpenat2 {
                        path: self.full_path(path),
                        error: std::sync::Arc::new(errno.into()),
                    });
                }
                opened => return opened.map_err(failed),
            }
        }
    }

    fn directory(&self) -> Result<&OwnedFd, Errno> {
        if let Some(directory) = self.directory.get() {
            return Ok(directory);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(rustix::fs::CWD, &self.path, flags, Mode::empty())?;
        Ok(self.directory.get_or_init(|| directory))
    }
}

/// Reads a file of the running kernel, outside of a tick: what is asked once,
/// before there is anything that could be collected.
pub(crate) fn read_kernel_file(path: &str) -> io::Result<Vec<u8>> {
    let file = Root::new(PathBuf::from("/")).open_file(path);
    let file = file.map_err(SourceError::into_io)?;
    let mut content = Vec::new();
    match read_all(&file, &mut content, Bound::of(path)) {
        Ok(()) => Ok(content),
        Err(Failure::Os(errno)) => Err(errno.into()),
        Err(Failure::TooLarge) => Err(io::ErrorKind::FileTooLarge.into()),
    }
}

/// Reads a file from its beginning to its end into an empty buffer.
///
/// `pread` from offset 0 makes the kernel show a file of `/proc` or `/sys`
/// anew, so a file that is kept open needs no seek:
/// <https://github.com/torvalds/linux/blob/v6.12/fs/seq_file.c#L183>.
/// The end is where a read gives nothing: a short read says nothing, since
/// such a file is handed out record by record.
///
/// No more than the bound is asked for: of what is cut, the kernel does not
/// make the rest.
pub(super) fn read_all(file: &OwnedFd, buffer: &mut Vec<u8>, bound: Bound) -> Result<(), Failure> {
    loop {
        let left = match bound.beyond {
            Beyond::Cut => bound.bytes.saturating_sub(buffer.len()),
            // One byte more tells that there is more.
            Beyond::Refuse => (bound.bytes + 1).saturating_sub(buffer.len()),
        };
        if left == 0 {
            return match bound.beyond {
                Beyond::Cut => Ok(()),
                Beyond::Refuse => Err(Failure::TooLarge),
            };
        }
        if buffer.len() == buffer.capacity() {
            buffer.reserve(buffer.capacity().clamp(4096, left.max(4096)));
        }
        let offset = buffer.len() as u64;
        let read = if buffer.capacity() - buffer.len() <= left {
            rustix::io::pread(file, rustix::buffer::spare_capacity(buffer), offset)
        } else {
            let mut end = [const { std::mem::MaybeUninit::uninit() }; TAIL];
            let end = &mut end[..left.min(TAIL)];
            rustix::io::pread(file, end, offset).map(|(read, _)| {
                buffer.extend_from_slice(read);
                read.len()
            })
        };
        match read {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Failure::Os(errno)),
        }
    }
}

/// How much is read at once where the buffer has more room than may be read.
const TAIL: usize = 8192;

/// Why [`read_all`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    TooLarge,
    Os(Errno),
}
