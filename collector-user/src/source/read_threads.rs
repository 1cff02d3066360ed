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

/// Threads for reads that a process can make block for as long as it likes.
///
/// `/proc/PID/cmdline` is copied from the memory of the process, under its
/// `mmap_lock`, and `/proc/PID/io` is shown under its `exec_update_lock`:
/// <https://github.com/torvalds/linux/blob/v6.12/fs/proc/base.c#L258>,
/// <https://github.com/torvalds/linux/blob/v6.12/fs/proc/base.c#L3001>.
/// A process that waits for a page of its own FUSE file system, with an `mmap`
/// of another thread behind it, keeps every reader waiting and needs no rights
/// for it. Such a wait ends when the reader is killed and by nothing else, so
/// the thread that waits is lost until the process lets go.
///
/// So these reads are queued here. Usually one thread does them, in order; when
/// a read lasts, another thread goes on with the rest. There are at most
/// [`MAX_THREADS`], and reads of files of one user block at most
/// [`MAX_BLOCKED_OF_USER`] of them. Who waits for results waits no longer than
/// [`LATE`] for a read, and gets its result later if it ever returns.
#[derive(Clone)]
pub(super) struct ReadThreads {
    shared: Arc<Shared>,
    /// Ends the threads when the last clone is dropped.
    _guard: Arc<Guard>,
}

struct Shared {
    state: Mutex<State>,
    /// There is a job, or the threads are to end.
    work: Condvar,
    /// A thread has nothing to do.
    idle: Condvar,
    clients: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Jobs of users of whom as many reads run as may.
    aside: Vec<Job>,
    running: Vec<Running>,
    threads: usize,
    idle: usize,
    next_run: u64,
    /// Users with files of which a read was late, and when that was.
    distrusted: HashMap<Option<u32>, Instant>,
    late_reads: u64,
    /// Users of whom reads began to be late, and nobody was told yet.
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

/// Somebody who has reads done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client(u64);

struct Guard {
    shared: Arc<Shared>,
}

/// How many threads there are at most.
const MAX_THREADS: usize = 8;
/// How many threads the files of one user may keep blocked.
const MAX_BLOCKED_OF_USER: usize = 2;
/// A read that takes longer has its result delivered later. Most take 10 us.
const LATE: Duration = Duration::from_millis(500);
/// When a read takes longer, another thread goes on with the others; and no
/// longer is waited for files of a user of whom a read was late.
const SLOW: Duration = Duration::from_millis(20);
/// How long such a user is not waited for.
const DISTRUST: Duration = Duration::from_mins(1);
/// How many such users are remembered.
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
        // The jobs hold what their clients hold.
        let jobs = (
            std::mem::take(&mut state.queue),
            std::mem::take(&mut state.aside),
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
    /// A number for somebody who has reads done.
    pub(super) fn client(&self) -> Client {
        Client(self.shared.clients.fetch_add(1, Ordering::Relaxed))
    }

    /// How many threads wait in a read that is late.
    pub(super) fn blocked(&self) -> usize {
        let mut state = self.shared.lock();
        state.note_late(Instant::now());
        state.running.iter().filter(|run| run.is_late).count()
    }

    /// How many reads were late since the start.
    pub(super) fn late_reads(&self) -> u64 {
        self.shared.lock().late_reads
    }

    /// Queues reads of files of these users.
    ///
    /// # Errors
    ///
    /// When there is no thread and none can be started. The reads stay in the
    /// queue for the next call that can start one.
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

    /// Waits until the reads of a client are done, except for those that are
    /// late, and those that have to wait for such.
    pub(super) fn wait(&self, client: Client) {
        let mut state = self.shared.lock();
        loop {
            let now = Instant::now();
            state.note_late(now);
            if !state.is_worth_waiting(client) {
                break;
            }
            if !state.queue.is_empty() && state.idle == 0 && state.all_are_slow(now) {
                // Without another thread, the rest is done when one returns.
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
                "a process keeps reads of its files blocked: of such processes, \
                 arguments and I/O are unknown"
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

    /// What each thread does.
    fn run(&self) {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                break;
            }
            let Some(job) = state.next_job() else {
                // One thread stays; the others were needed for a blocked read.
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
            // The parsers do not panic; if one does, its result is missing and
            // the thread goes on.
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

    /// The first job of a user of whom not too many reads run already.
    fn next_job(&mut self) -> Option<Job> {
        while let Some(job) = self.queue.pop_front() {
            if self.running_of(job.user) < MAX_BLOCKED_OF_USER {
                return Some(job);
            }
            self.aside.push(job);
        }
        None
    }

    fn end(&mut self, run: u64) {
        let Some(index) = self.running.iter().position(|other| other.run == run) else {
            return;
        };
        let user = self.running.swap_remove(index).user;
        if self.running_of(user) + 1 == MAX_BLOCKED_OF_USER {
            self.queue.extend(self.aside.drain(..));
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
            let patience = if self.distrusted.contains_key(&run.user) {
                SLOW
            } else {
                LATE
            };
            if !run.is_late && now.duration_since(run.since) >= patience {
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

    /// Whether a result of this client is to come soon.
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
