use std::{
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{ParseError, name::name_text};
use crate::text::harmless;

/// A source could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// The system call failed.
    #[error("cannot {call} {}: {error}", shown(path))]
    Io {
        /// What was tried: `open`, `read`, `read directory`, `read link`.
        call: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        error: Arc<io::Error>,
    },
    /// The file is there, but is not what it should be.
    #[error("{}: {}", shown(path), harmless(problem))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line or the field.
        problem: String,
    },
    /// There is something else than a file under the name: reading a FIFO or a
    /// device could wait for ever, or change what is read.
    #[error("{} is {found}, not a regular file", shown(path))]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there instead.
        found: &'static str,
    },
    /// The file has more to say than any file of its kind should.
    #[error(
        "{} has more than {limit} bytes, so the rest was not read and none of it is used",
        shown(path)
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: usize,
    },
    /// What a tick holds is as much as it may be.
    #[error(
        "{} is not read: what this tick has read and holds would be more than {budget} bytes",
        shown(path)
    )]
    TickFull {
        /// The file.
        path: PathBuf,
        /// How much a tick may hold.
        budget: usize,
    },
    /// The file is under another root than `/`, and the kernel has no way to
    /// keep links from leading out of that.
    #[error(
        "cannot open {} without a link leading out of the root: openat2: {error} (it takes Linux \
         5.6, and a container runtime whose seccomp filter allows the call)",
        shown(path)
    )]
    NoOpenat2 {
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        error: Arc<io::Error>,
    },
}

/// A path as it is shown to people: a tree chooses its names.
fn shown(path: &Path) -> String {
    harmless(&name_text(path.as_os_str().as_bytes())).into_owned()
}

impl SourceError {
    /// Whether the source does not exist.
    ///
    /// A process that ends while one of its files is read answers `ESRCH`,
    /// and a device that goes `ENODEV`: those too do not exist any more.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Io { error, .. } => {
                error.kind() == io::ErrorKind::NotFound
                    || matches!(
                        error
                            .raw_os_error()
                            .map(rustix::io::Errno::from_raw_os_error),
                        Some(rustix::io::Errno::SRCH | rustix::io::Errno::NODEV)
                    )
            }
            _ => false,
        }
    }

    /// What the kernel answered, or what else is wrong.
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Io { error, .. } => Arc::try_unwrap(error).unwrap_or_else(|error| {
                error
                    .raw_os_error()
                    .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
            }),
            error => io::Error::other(error),
        }
    }

    /// Whether the source exists, but this process may not read it.
    pub fn is_permission_denied(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// An error of a system call on a path.
    pub(super) fn io(call: &'static str, path: PathBuf, errno: rustix::io::Errno) -> Self {
        Self::Io {
            call,
            path,
            error: Arc::new(errno.into()),
        }
    }

    /// What a parser found wrong, with the file in which it found it.
    pub(super) fn malformed(path: PathBuf, error: &ParseError) -> Self {
        Self::Malformed {
            path,
            problem: error.to_string(),
        }
    }
}
