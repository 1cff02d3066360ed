use std::{
    collections::HashSet,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use super::{
    SourceError, Sources,
    read_threads::{Client, ReadThreads},
};

/// A read in a batch.
type QueuedRead = Box<dyn FnOnce() + Send>;

/// Reads of files of processes, which may block: see
/// [`ReadThreads`](super::read_threads::ReadThreads).
///
/// `K` identifies a process, also if its PID is reused. While a read of a process has not
/// returned, no other read of it is started.
pub(crate) struct ProcessReads<K, T> {
    client: Option<(ReadThreads, Client)>,
    queued: Vec<(Option<u32>, QueuedRead)>,
    outstanding: HashSet<K>,
    done: Arc<Mutex<Vec<(K, T)>>>,
    /// Whether the last attempt to create a thread failed.
    is_refused: bool,
}

impl<K, T> Default for ProcessReads<K, T> {
    fn default() -> Self {
        Self {
            client: None,
            queued: Vec::new(),
            outstanding: HashSet::new(),
            done: Arc::default(),
            is_refused: false,
        }
    }
}

impl<K: fmt::Debug, T> fmt::Debug for ProcessReads<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessReads")
            .field("outstanding", &self.outstanding)
            .finish_non_exhaustive()
    }
}

impl<K, T> ProcessReads<K, T>
where
    K: Copy + Eq + Hash + Send + 'static,
    T: Send + 'static,
{
    /// Queues a read of files of a process that belongs to `user`; does nothing if a read of
    /// the process has not returned yet.
    pub(crate) fn read(
        &mut self,
        sources: &Sources,
        key: K,
        user: Option<u32>,
        read: impl FnOnce(&ProcessFiles) -> T + Send + 'static,
    ) {
        if !self.outstanding.insert(key) {
            return;
        }
        let files = ProcessFiles(sources.clone());
        let done = Arc::clone(&self.done);
        self.queued.push((
            user,
            Box::new(move || {
                let result = (key, read(&files));
                lock(&done).push(result);
            }),
        ));
    }

    /// Whether a read of this process has not returned yet.
    pub(crate) fn is_outstanding(&self, key: &K) -> bool {
        self.outstanding.contains(key)
    }

    /// Runs the queued reads, and returns the results of those that returned in time, and
    /// late results of earlier calls.
    pub(crate) fn finish(&mut self, sources: &Sources) -> Vec<(K, T)> {
        let queued = std::mem::take(&mut self.queued);
        if sources.shows_live_processes() {
            let threads = sources.read_threads();
            let (threads, client) = self
                .client
                .get_or_insert_with(|| (threads.clone(), threads.client()));
            if !self.outstanding.is_empty() {
                match threads.submit(*client, queued) {
                    Ok(()) => self.is_refused = false,
                    // The reads stay queued until a thread can be created.
                    Err(error) if !self.is_refused => {
                        self.is_refused = true;
                        tracing::warn!(
                            %error,
                            "cannot create a thread for reads of files of processes: command \
                             line and I/O of new processes are unknown until one can be created"
                        );
                    }
                    Err(_) => {}
                }
                threads.wait(*client);
            }
        } else {
            // Files of a captured tree do not block.
            for (_, read) in queued {
                read();
            }
        }
        let results = std::mem::take(&mut *lock(&self.done));
        for (key, _) in &results {
            self.outstanding.remove(key);
        }
        results
    }
}

/// The files of a process, for a read that may block.
pub(crate) struct ProcessFiles(Sources);

impl ProcessFiles {
    /// The content of a file of a process, which is not shared through the tick.
    pub(crate) fn read(&self, path: &str) -> Result<Bytes, SourceError> {
        self.0.read_file(path, 0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
