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

/// A read that is sent with the others of its batch.
type QueuedRead = Box<dyn FnOnce() + Send>;

/// Reads of what belongs to processes, and may block: see
/// [`ReadThreads`](super::read_threads::ReadThreads).
///
/// `K` tells one process from another, also where its PID was used before. A
/// process of which a read has not returned is not read again.
pub(crate) struct ProcessReads<K, T> {
    client: Option<(ReadThreads, Client)>,
    queued: Vec<(Option<u32>, QueuedRead)>,
    outstanding: HashSet<K>,
    done: Arc<Mutex<Vec<(K, T)>>>,
    /// Whether no thread could be made the last time.
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
    /// Queues a read of files of a process, and of this user if that is known;
    /// nothing if one has not returned yet.
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

    /// Whether a read of files of this process has not returned yet.
    pub(crate) fn is_outstanding(&self, key: &K) -> bool {
        self.outstanding.contains(key)
    }

    /// Does what is queued, and takes the results: those that came in time, and
    /// those that come late from an earlier call.
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
                    // The reads stay queued, and are done when there is a thread.
                    Err(error) if !self.is_refused => {
                        self.is_refused = true;
                        tracing::warn!(
                            %error,
                            "cannot start a thread that reads files of processes: \
                             arguments and I/O of new ones are unknown until it can"
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
    /// The content of a file of a process; it is shared with nobody.
    pub(crate) fn read(&self, path: &str) -> Result<Bytes, SourceError> {
        self.0.read_file(path, 0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
