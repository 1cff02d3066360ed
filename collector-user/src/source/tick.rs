use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;

use super::Sources;

/// One tick: what is read through it is read once, and shared.
///
/// Cheap to clone: clones are the same tick.
#[derive(Clone, Debug)]
pub struct Tick {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    sources: Sources,
    began_at: SystemTime,
    monotonic_ns: u64,
    files: Mutex<HashMap<PathBuf, Result<Bytes, SourceError>>>,
}

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
}

impl SourceError {
    /// Whether the source does not exist.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Io { error, .. } => error.kind() == io::ErrorKind::NotFound,
            Self::Malformed { .. } => false,
        }
    }
}

impl Tick {
    pub(super) fn new(sources: Sources) -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Self {
            inner: Arc::new(Inner {
                sources,
                began_at: SystemTime::now(),
                monotonic_ns: now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64,
                files: Mutex::new(HashMap::new()),
            }),
        }
    }

    /// The tree that is read.
    pub fn sources(&self) -> &Sources {
        &self.inner.sources
    }

    /// When this tick began, by the wall clock.
    pub fn began_at(&self) -> SystemTime {
        self.inner.began_at
    }

    /// When this tick began: nanoseconds on `CLOCK_MONOTONIC`.
    pub fn monotonic_ns(&self) -> u64 {
        self.inner.monotonic_ns
    }

    /// The content of a file, named by its path on a live host: `/proc/stat`.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or read.
    pub fn read(&self, path: &str) -> Result<Bytes, SourceError> {
        let path = self.inner.sources.root().join(path.trim_start_matches('/'));
        let mut files = self
            .inner
            .files
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(content) = files.get(&path) {
            return content.clone();
        }
        let content = std::fs::read(&path)
            .map(Bytes::from)
            .map_err(|error| SourceError::Io {
                call: "read",
                path: path.clone(),
                error: Arc::new(error),
            });
        files.insert(path, content.clone());
        content
    }
}
