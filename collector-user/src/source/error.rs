use std::{io, path::PathBuf, sync::Arc};

use super::ParseError;

/// A source could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// The system call failed.
    #[error("cannot {call} {path}: {error}")]
    Io {
        /// What was tried: `open`, `read`, `read directory`, `read link`.
        call: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        error: Arc<io::Error>,
    },
    /// The file is there, but is not what it should be.
    #[error("{path}: {problem}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line or the field.
        problem: String,
    },
    /// There is something else than a file under the name: reading a FIFO or a
    /// device could wait for ever, or change what is read.
    #[error("{path} is {found}, not a regular file")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there instead.
        found: &'static str,
    },
    /// The file has more to say than any file of its kind should.
    #[error("{path} has more than {limit} bytes, so the rest was not read and none of it is used")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: usize,
    },
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
