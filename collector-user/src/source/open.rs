use std::{
    ffi::OsStr,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use super::{Entries, SourceError};

/// The directory under which `proc` and `sys` are, and the way to what is in it.
///
/// Under the live root a path is resolved as usual. Under any other root it is
/// resolved as if that were `/`: absolute links and `..` inside the tree stay
/// inside it, so `DIR/proc/mounts -> /proc/self/mounts` is that of the capture,
/// and no link leads out. That is `RESOLVE_IN_ROOT`, since Linux 5.6:
/// <https://man7.org/linux/man-pages/man2/openat2.2.html>.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    live: bool,
    directory: OnceLock<OwnedFd>,
}

/// How much of one file is read; the largest that is met, `/proc/net/tcp` of
/// a busy server, stays far below.
pub(super) const MAX_FILE_BYTES: usize = 32 * 1024 * 1024;
/// How much text the names of one directory may be.
const MAX_DIRECTORY_BYTES: usize = 16 * 1024 * 1024;

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
        self.path.join(path.trim_start_matches('/'))
    }

    /// Opens a file for reading.
    ///
    /// `O_NONBLOCK` keeps the open of a FIFO from waiting for its writer; it
    /// changes nothing for regular files. What is not a regular file is
    /// refused.
    pub(super) fn open_file(&self, path: &str) -> Result<OwnedFd, SourceError> {
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let stat = rustix::fs::fstat(&file)
            .map_err(|errno| SourceError::io("stat", self.full_path(path), errno))?;
        let found = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => return Ok(file),
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

    /// The names in a directory.
    pub(super) fn read_dir(&self, path: &str) -> Result<Entries, SourceError> {
        let directory = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let failed = |errno| SourceError::io("read directory", self.full_path(path), errno);
        let mut entries = Entries::default();
        for entry in rustix::fs::Dir::new(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => entries.push(name),
            }
            if entries.bytes() > MAX_DIRECTORY_BYTES {
                return Err(SourceError::TooLarge {
                    path: self.full_path(path),
                    limit: MAX_DIRECTORY_BYTES,
                });
            }
        }
        Ok(entries)
    }

    /// What a symbolic link says.
    pub(super) fn read_link(&self, path: &str) -> Result<PathBuf, SourceError> {
        let failed = |errno| SourceError::io("read link", self.full_path(path), errno);
        let target = if self.live {
            rustix::fs::readlink(path, Vec::new())
        } else {
            let link = self.open(path, OFlags::PATH | OFlags::NOFOLLOW)?;
            rustix::fs::readlinkat(link, "", Vec::new())
        };
        let target = target.map_err(failed)?;
        Ok(PathBuf::from(OsStr::from_bytes(target.as_bytes())))
    }

    fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, SourceError> {
        let flags = flags | OFlags::CLOEXEC;
        let opened = if self.live {
            rustix::fs::openat(rustix::fs::CWD, path, flags, Mode::empty())
        } else {
            self.directory().and_then(|root| {
                let path = path.trim_start_matches('/');
                rustix::fs::openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)
            })
        };
        opened.map_err(|errno| SourceError::io("open", self.full_path(path), errno))
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

/// Reads a file from its beginning to its end into an empty buffer.
///
/// `pread` from offset 0 makes the kernel show a file of `/proc` or `/sys`
/// anew, so a file that is kept open needs no seek:
/// <https://github.com/torvalds/linux/blob/v6.12/fs/seq_file.c#L183>.
/// The end is where a read gives nothing: a short read says nothing, since
/// such a file is handed out record by record.
pub(super) fn read_all(file: &OwnedFd, buffer: &mut Vec<u8>, limit: usize) -> Result<(), Failure> {
    loop {
        if buffer.len() > limit {
            return Err(Failure::TooLarge);
        }
        if buffer.len() == buffer.capacity() {
            buffer.reserve(buffer.capacity().max(4096));
        }
        let offset = buffer.len() as u64;
        match rustix::io::pread(file, rustix::buffer::spare_capacity(buffer), offset) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Failure::Os(errno)),
        }
    }
}

/// Why [`read_all`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    TooLarge,
    Os(Errno),
}
