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
        /// The operation: `open`, `read`, `read directory`, `read link`.
        call: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system call.
        error: Arc<io::Error>,
    },
    /// The content of the file is malformed.
    #[error("{}: {}", shown(path), harmless(&error.to_string()))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The error of the parser.
        #[source]
        error: ParseError,
    },
    /// The path is not a regular file. The read of a FIFO or a device could block for ever
    /// or have side effects.
    #[error("{} is {found}, not a regular file", shown(path))]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// The type of the file.
        found: &'static str,
    },
    /// The file is larger than the maximum for its kind.
    #[error("{} is larger than {limit} bytes and is ignored", shown(path))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The maximum size, in bytes.
        limit: usize,
    },
    /// The memory budget of the tick is exhausted.
    #[error(
        "{} is not read: the tick would hold more than {budget} bytes",
        shown(path)
    )]
    TickFull {
        /// The file.
        path: PathBuf,
        /// The budget, in bytes.
        budget: usize,
    },
    /// The file is below another root than `/`, and openat2(2), which keeps links inside
    /// the root, is not available.
    #[error(
        "cannot open {} inside the root: openat2: {error} (it needs Linux 5.6, and a container \
         runtime whose seccomp filter allows the system call)",
        shown(path)
    )]
    NoOpenat2 {
        /// The file.
        path: PathBuf,
        /// The error of the system call.
        error: Arc<io::Error>,
    },
}

/// A path for display: the names of a tree may contain control characters.
fn shown(path: &Path) -> String {
    harmless(&name_text(path.as_os_str().as_bytes())).into_owned()
}

impl SourceError {
    /// Whether the source does not exist: `ENOENT`, or `ESRCH` of a process that exited
    /// during the read, or `ENODEV` of a device that was removed.
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

    /// The error of the system call, or this error wrapped.
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

    /// Whether permission to read the source was denied.
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

    /// An error of a parser, with the path of the file.
    pub(super) fn malformed(path: PathBuf, error: &ParseError) -> Self {
        Self::Malformed {
            path,
            error: error.clone(),
        }
    }
}
