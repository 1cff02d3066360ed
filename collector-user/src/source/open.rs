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

/// The directory that contains `proc` and `sys`, and the resolution of paths below it.
///
/// Below the live root, paths are resolved as usual. Below any other root they are
/// resolved as if that were `/`, by `RESOLVE_IN_ROOT` of openat2(2), since Linux 5.6:
/// absolute links and `..` stay inside the tree, so that `DIR/proc/mounts ->
/// /proc/self/mounts` is that of the capture. Without openat2 no file of such a root is
/// read: <https://man7.org/linux/man-pages/man2/openat2.2.html>.
///
/// A path consists of the text of its names: see [`name_text`](super::name_text).
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    live: bool,
    directory: OnceLock<OwnedFd>,
}

/// The maximum size of the names of one directory.
const MAX_DIRECTORY_BYTES: usize = 16 * 1024 * 1024;
/// How often openat2 is retried on `EAGAIN`: a concurrent rename or mount kept the kernel
/// from verifying that `..` stayed inside the root.
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

    /// The path below this root of a path on a live host.
    pub(super) fn full_path(&self, path: &str) -> PathBuf {
        let bytes = name_bytes(path.trim_start_matches('/'));
        self.path.join(OsStr::from_bytes(&bytes))
    }

    /// Opens a file for reading, if it is a regular file and not too large.
    ///
    /// Below the live root, `O_NONBLOCK` keeps the open of a FIFO from waiting for a
    /// writer; it has no effect on regular files. Below any other root the type is checked
    /// before the open, since the open of a device may have side effects.
    pub(super) fn open_file(&self, path: &str) -> Result<OwnedFd, SourceError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        if self.live {
            let file = self.open(path, flags)?;
            self.check(path, &self.stat(path, &file)?)?;
            return Ok(file);
        }
        let found = self.open(path, OFlags::PATH)?;
        self.check(path, &self.stat(path, &found)?)?;
        // The only way to reopen a file that was opened with `O_PATH`: open(2).
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
            _ => "of unknown type",
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

    /// Opens a directory with `O_PATH`.
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

    /// The target of a symbolic link.
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
        // An empty path is the root itself.
        let name: &[u8] = if name.is_empty() { b"." } else { &name };
        let mut tries = RESOLVE_TRIES;
        loop {
            let opened =
                rustix::fs::openat2(root, name, flags, Mode::empty(), ResolveFlags::IN_ROOT);
            match opened {
                Err(Errno::AGAIN) if tries > 0 => tries -= 1,
                // With these flags, openat2 returns `EPERM` only from a seccomp filter
                // that does not know the system call.
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

/// Reads a file of the running kernel without a tick: for files that are read once, before
/// the first collection.
pub(crate) fn read_kernel_file(path: &str) -> io::Result<Vec<u8>> {
    let file = Root::new(PathBuf::from("/")).open_file(path);
    let file = file.map_err(SourceError::into_io)?;
    let mut content = Vec::new();
    match read_all(&file, &mut content, Bound::of(path)) {
        Ok(()) => Ok(content),
        Err(ReadFailure::Os(errno)) => Err(errno.into()),
        Err(ReadFailure::TooLarge) => Err(io::ErrorKind::FileTooLarge.into()),
    }
}

/// Reads a file from its beginning to its end into an empty buffer.
///
/// `pread` at offset 0 makes the kernel generate a file of `/proc` or `/sys` again, so
/// that a kept file needs no seek:
/// <https://github.com/torvalds/linux/blob/v6.12/fs/seq_file.c#L183>.
/// Only a read of 0 bytes is the end: these files return short reads at record boundaries.
///
/// Never reads more than the bound, so that the kernel does not generate the rest of a
/// file that is cut.
pub(super) fn read_all(
    file: &OwnedFd,
    buffer: &mut Vec<u8>,
    bound: Bound,
) -> Result<(), ReadFailure> {
    loop {
        let left = match bound.beyond {
            Beyond::Cut => bound.bytes.saturating_sub(buffer.len()),
            // One byte more, to detect a larger file.
            Beyond::Refuse => (bound.bytes + 1).saturating_sub(buffer.len()),
        };
        if left == 0 {
            return match bound.beyond {
                Beyond::Cut => Ok(()),
                Beyond::Refuse => Err(ReadFailure::TooLarge),
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
            Err(errno) => return Err(ReadFailure::Os(errno)),
        }
    }
}

/// The size of a read when the buffer has more space than the bound allows to read.
const TAIL: usize = 8192;

/// Why [`read_all`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadFailure {
    TooLarge,
    Os(Errno),
}
