use std::{
    collections::{HashMap, VecDeque},
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Threads for reads that a process can block indefinitely.
///
/// A read of `/proc/PID/cmdline` takes the `mmap_lock` of the process and copies from its
/// memory, and a read of `/proc/PID/io` takes its `exec_update_lock`:
/// <https://github.com/torvalds/linux/blob/v6.12/fs/proc/base.c#L258>,
/// <https://github.com/torvalds/linux/blob/v6.12/fs/proc/base.c#L3001>.
/// A process that waits in a page fault for its own FUSE file system, while another of its
/// threads waits in mmap(2), blocks every reader, and needs no privileges for that. The
/// wait of the reader is killable but not interruptible, so that the thread is blocked
/// until the process releases the lock.
///
/// So these reads are queued here. Usually one thread runs them in order; while a read is
/// slow, another thread runs the rest. There are at most [`MAX_THREADS`] threads, and reads
/// of files of one user block at most [`MAX_BLOCKED_OF_USER`] of them. A caller waits at
/// most [`LATE`] for a read, and gets a late result from a later call.
#[derive(Clone)]
pub(super) struct ReadThreads {
    shared: Arc<Shared>,
    /// Stops the threads when the last clone is dropped.
    _guard: Arc<Guard>,
}

struct Shared {
    state: Mutex<State>,
    /// There is a job, or the threads are to stop.
    work: Condvar,
    /// A thread is idle.
    idle: Condvar,
    clients: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Jobs of users that have reached the limit of running reads.
    deferred: Vec<Job>,
    running: Vec<Running>,
    threads: usize,
    idle: usize,
    next_run: u64,
    /// Users with a late read, and its time.
    distrusted: HashMap<Option<u32>, Instant>,
    late_reads: u64,
    /// Users whose reads became late, for a warning.
    newly_late: Vec<Option<u32>>,
    is_closed: bool,
}

struct Job {
    client: Client,
    user: Option<u32>,
    read: Box<dyn FnOnce() + Send>,
}

struct Running {
    run: u64,
    client: Client,
    user: Option<u32>,
    since: Instant,
    is_late: bool,
}

/// A user of the threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client(u64);

struct Guard {
    shared: Arc<Shared>,
}

/// The maximum number of threads.
const MAX_THREADS: usize = 8;
/// The maximum number of threads that files of one user may block.
const MAX_BLOCKED_OF_USER: usize = 2;
/// A slower read is late: its result is returned by a later call. Most reads take 10 µs.
const LATE: Duration = Duration::from_millis(500);
/// While a read is slower, another thread runs the rest. Reads of a user with late reads
/// are late after this time.
const SLOW: Duration = Duration::from_millis(20);
/// How long a user counts as one with late reads.
const DISTRUST: Duration = Duration::from_mins(1);
/// The maximum number of such users.
const MAX_DISTRUSTED: usize = 1024;

impl Default for ReadThreads {
    fn default() -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            clients: AtomicU64::new(0),
        });
        Self {
            _guard: Arc::new(Guard {
                shared: Arc::clone(&shared),
            }),
            shared,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        // Dropped without the lock: a job may own the last clone of something.
        let jobs = (
            std::mem::take(&mut state.queue),
            std::mem::take(&mut state.deferred),
        );
        drop(state);
        drop(jobs);
        self.shared.work.notify_all();
    }
}

impl fmt::Debug for ReadThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadThreads").finish_non_exhaustive()
    }
}

impl ReadThreads {
    /// A new client.
    pub(super) fn client(&self) -> Client {
        Client(self.shared.clients.fetch_add(1, Ordering::Relaxed))
    }

    /// The number of threads that are blocked in a late read.
    pub(super) fn blocked(&self) -> usize {
        let mut state = self.shared.lock();
        state.note_late(Instant::now());
        state.running.iter().filter(|run| run.is_late).count()
    }

    /// The number of late reads since the start.
    pub(super) fn late_reads(&self) -> u64 {
        self.shared.lock().late_reads
    }

    /// Queues reads of files of these users.
    ///
    /// # Errors
    ///
    /// When there is no thread and none can be created. The reads stay queued until a call
    /// can create one.
    pub(super) fn submit(
        &self,
        client: Client,
        reads: impl IntoIterator<Item = (Option<u32>, Box<dyn FnOnce() + Send>)>,
    ) -> io::Result<()> {
        let mut state = self.shared.lock();
        state.queue.extend(
            reads
                .into_iter()
                .map(|(user, read)| Job { client, user, read }),
        );
        let started = if state.threads == 0 && !state.queue.is_empty() {
            self.start_thread(&mut state)
        } else {
            Ok(())
        };
        drop(state);
        self.shared.work.notify_one();
        started
    }

    /// Waits for the reads of a client, except late ones and those that wait behind them.
    pub(super) fn wait(&self, client: Client) {
        let mut state = self.shared.lock();
        loop {
            let now = Instant::now();
            state.note_late(now);
            if !state.is_worth_waiting(client) {
                break;
            }
            if !state.queue.is_empty() && state.idle == 0 && state.all_are_slow(now) {
                // On failure, the rest waits for a thread to return.
                let _cannot_start = self.start_thread(&mut state);
            }
            let waited = self.shared.idle.wait_timeout(state, SLOW);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let newly_late = std::mem::take(&mut state.newly_late);
        drop(state);
        for user in newly_late {
            tracing::warn!(
                user,
                "a process blocks reads of its files: command line and I/O of such processes \
                 are unknown"
            );
        }
    }

    fn start_thread(&self, state: &mut State) -> io::Result<()> {
        if state.threads >= MAX_THREADS {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        std::thread::Builder::new()
            .name("collector-read".to_owned())
            .spawn(move || shared.run())?;
        state.threads += 1;
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread.
    fn run(&self) {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                break;
            }
            let Some(job) = state.next_job() else {
                // One idle thread stays; others were needed only during a blocked read.
                if state.idle > 0 {
                    break;
                }
                state.idle += 1;
                self.idle.notify_all();
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
                continue;
            };
            let run = state.begin(&job);
            drop(state);
            let read = job.read;
            // Parsers do not panic. If one does, the result is lost and the thread
            // continues.
            let _panicked = catch_unwind(AssertUnwindSafe(read));
            state = self.lock();
            state.end(run);
        }
        state.threads -= 1;
        self.idle.notify_all();
    }
}

impl State {
    fn begin(&mut self, job: &Job) -> u64 {
        self.next_run += 1;
        self.running.push(Running {
            run: self.next_run,
            client: job.client,
            user: job.user,
            since: Instant::now(),
            is_late: false,
        });
        self.next_run
    }

    /// The first job of a user that is below the limit of running reads.
    fn next_job(&mut self) -> Option<Job> {
        while let Some(job) = self.queue.pop_front() {
            if self.running_of(job.user) < MAX_BLOCKED_OF_USER {
                return Some(job);
            }
            self.deferred.push(job);
        }
        None
    }

    fn end(&mut self, run: u64) {
        let Some(index) = self.running.iter().position(|other| other.run == run) else {
            return;
        };
        let user = self.running.swap_remove(index).user;
        if self.running_of(user) + 1 == MAX_BLOCKED_OF_USER {
            self.queue.extend(self.deferred.drain(..));
        }
    }

    fn running_of(&self, user: Option<u32>) -> usize {
        self.running.iter().filter(|run| run.user == user).count()
    }

    fn all_are_slow(&self, now: Instant) -> bool {
        let is_slow = |run: &Running| now.duration_since(run.since) >= SLOW;
        self.running.iter().all(is_slow)
    }

    fn note_late(&mut self, now: Instant) {
        self.distrusted
            .retain(|_, since| now.duration_since(*since) < DISTRUST);
        for run in &mut self.running {
            let limit = if self.distrusted.contains_key(&run.user) {
                SLOW
            } else {
                LATE
            };
            if !run.is_late && now.duration_since(run.since) >= limit {
                run.is_late = true;
                self.late_reads += 1;
                if self.distrusted.len() < MAX_DISTRUSTED
                    && self.distrusted.insert(run.user, now).is_none()
                {
                    self.newly_late.push(run.user);
                }
            }
        }
    }

    /// Whether a result of this client can be expected soon.
    fn is_worth_waiting(&self, client: Client) -> bool {
        let of_client = |run: &Running| run.client == client && !run.is_late;
        if self.running.iter().any(of_client) {
            return true;
        }
        let is_queued = self.queue.iter().any(|job| job.client == client);
        let none_is_left = self.threads >= MAX_THREADS
            && self.idle == 0
            && self.running.iter().all(|run| run.is_late);
        is_queued && self.threads > 0 && !none_is_left
    }
}

#[cfg(test)]
#[path = "read_threads_tests.rs"]
mod tests;
