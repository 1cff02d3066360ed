use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
    low_level::{self, pipe},
};
use tokio::sync::watch;

use super::{error::Failure, error::complain, log};

/// How long stopping may take: less than supervisors wait before they send SIGKILL.
const DEADLINE: Duration = Duration::from_secs(9);

/// A signal within this time after the first one is ignored: a terminal and a supervisor
/// may both send one.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Written to the pipe of the signals when the process stops without a signal.
const STOPPING: u8 = b's';

/// Handles SIGINT and SIGTERM, and ends the process even if something hangs.
///
/// A thread of its own waits for the signals, so that they work also while all threads
/// of the runtime are blocked. After the first signal the process has [`DEADLINE`] to
/// exit; a second one ends it at once.
///
/// If that thread cannot be created there is no deadline, but a second signal still ends
/// the process.
pub(super) struct StopSignals {
    first: FirstSignal,
    pipe: UnixStream,
}

/// How the first signal is received.
enum FirstSignal {
    Thread(watch::Receiver<Option<&'static str>>),
    Pipe(tokio::net::UnixStream, Arc<AtomicUsize>),
}

impl StopSignals {
    /// Installs the signal handlers.
    pub(super) fn listen() -> Result<Self, Failure> {
        Self::try_listen().map_err(Failure::Signals)
    }

    fn try_listen() -> io::Result<Self> {
        let (reader, pipe) = UnixStream::pair()?;
        let signal = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = watch::channel(None);
        let watchdog = Watchdog {
            pipe: reader.try_clone()?,
            signal: Arc::clone(&signal),
            sender,
            first: None,
            deadline: None,
        };
        let thread = thread::Builder::new()
            .name("collector-stop".to_owned())
            .spawn(move || watchdog.run());
        let first = if thread.is_ok() {
            FirstSignal::Thread(receiver)
        } else {
            let second = Arc::new(AtomicBool::new(false));
            for number in SIGNALS {
                flag::register_conditional_shutdown(number, 1, Arc::clone(&second))?;
                flag::register(number, Arc::clone(&second))?;
            }
            reader.set_nonblocking(true)?;
            let reader = tokio::net::UnixStream::from_std(reader)?;
            FirstSignal::Pipe(reader, Arc::clone(&signal))
        };
        for number in SIGNALS {
            flag::register_usize(number, Arc::clone(&signal), number as usize)?;
            pipe::register(number, pipe.try_clone()?)?;
        }
        Ok(Self { first, pipe })
    }

    /// Waits for the first signal, and returns its name.
    pub(super) async fn recv(&mut self) -> &'static str {
        match &mut self.first {
            FirstSignal::Thread(receiver) => match receiver.wait_for(Option::is_some).await {
                Ok(signal) => signal.unwrap_or("a signal"),
                Err(_) => std::future::pending().await,
            },
            FirstSignal::Pipe(pipe, signal) => {
                // It neither fails nor is closed while `self` owns the other end.
                let _ = pipe.readable().await;
                name_of(signal.load(Ordering::SeqCst))
            }
        }
    }

    /// Starts the deadline, also without a signal.
    pub(super) fn stopping(&self) {
        let _ = (&self.pipe).write_all(&[STOPPING]);
    }
}

const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

fn name_of(signal: usize) -> &'static str {
    if signal == SIGINT as usize {
        "SIGINT"
    } else {
        "SIGTERM"
    }
}

struct Watchdog {
    pipe: UnixStream,
    /// The number of the last signal; 0 if there was none.
    signal: Arc<AtomicUsize>,
    sender: watch::Sender<Option<&'static str>>,
    /// The time of the first signal.
    first: Option<Instant>,
    deadline: Option<Instant>,
}

impl Watchdog {
    fn run(mut self) {
        let mut bytes = [0; 64];
        loop {
            let left = self.deadline.map(|deadline| {
                let left = deadline.saturating_duration_since(Instant::now());
                // Zero would be no timeout.
                left.max(Duration::from_millis(1))
            });
            let _ = self.pipe.set_read_timeout(left);
            match self.pipe.read(&mut bytes) {
                Ok(0) => return,
                Ok(read) => {
                    let now = Instant::now();
                    self.deadline.get_or_insert(now + DEADLINE);
                    if bytes[..read].iter().any(|byte| *byte != STOPPING) {
                        self.signalled(now);
                    }
                }
                // EINTR, or the timeout.
                Err(_) => {}
            }
            if self
                .deadline
                .is_some_and(|deadline| deadline <= Instant::now())
            {
                complain(&format!(
                    "something hangs: not stopped within {} s, so the process is terminated",
                    DEADLINE.as_secs()
                ));
                log::flush();
                low_level::exit(1);
            }
        }
    }

    fn signalled(&mut self, now: Instant) {
        let name = name_of(self.signal.swap(0, Ordering::SeqCst));
        match self.first {
            None => {
                self.first = Some(now);
                let _ = self.sender.send(Some(name));
            }
            Some(first) if now < first + DEBOUNCE => {}
            Some(_) => low_level::exit(1),
        }
    }
}
