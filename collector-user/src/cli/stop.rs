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

/// How long stopping may take: less than supervisors wait before they kill.
const DEADLINE: Duration = Duration::from_secs(9);

/// Within this time of the first one, a signal is the same: a terminal and a
/// supervisor may both send one.
const SAME: Duration = Duration::from_millis(100);

/// What the code writes to the pipe that the signals write to.
const STOPPING: u8 = b's';

/// SIGINT and SIGTERM, and the end of the process whatever hangs.
///
/// A thread of its own waits for them, so that they work also while all
/// threads of the runtime are held up. After the first one the process has
/// some seconds to end; a second one ends it at once.
///
/// Where that thread cannot be made, there is no deadline, and a second signal
/// ends the process all the same.
pub(super) struct StopSignals {
    came: Came,
    pipe: UnixStream,
}

/// How the first signal is told.
enum Came {
    ByThread(watch::Receiver<Option<&'static str>>),
    ByPipe(tokio::net::UnixStream, Arc<AtomicUsize>),
}

impl StopSignals {
    /// From here on these signals no longer end the process by themselves.
    pub(super) fn listen() -> Result<Self, Failure> {
        Self::try_listen()
            .map_err(|error| Failure::Failed(format!("cannot wait for signals: {error}")))
    }

    fn try_listen() -> io::Result<Self> {
        let (reader, pipe) = UnixStream::pair()?;
        let signal = Arc::new(AtomicUsize::new(0));
        let (sender, came) = watch::channel(None);
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
        let came = if thread.is_ok() {
            Came::ByThread(came)
        } else {
            let second = Arc::new(AtomicBool::new(false));
            for number in SIGNALS {
                flag::register_conditional_shutdown(number, 1, Arc::clone(&second))?;
                flag::register(number, Arc::clone(&second))?;
            }
            reader.set_nonblocking(true)?;
            let reader = tokio::net::UnixStream::from_std(reader)?;
            Came::ByPipe(reader, Arc::clone(&signal))
        };
        for number in SIGNALS {
            flag::register_usize(number, Arc::clone(&signal), number as usize)?;
            pipe::register(number, pipe.try_clone()?)?;
        }
        Ok(Self { came, pipe })
    }

    /// The name of the signal that came.
    pub(super) async fn recv(&mut self) -> &'static str {
        match &mut self.came {
            Came::ByThread(came) => match came.wait_for(Option::is_some).await {
                Ok(signal) => signal.unwrap_or("a signal"),
                Err(_) => std::future::pending().await,
            },
            Came::ByPipe(pipe, signal) => {
                // It cannot fail, nor end while `self` has the other side.
                let _ = pipe.readable().await;
                name_of(signal.load(Ordering::SeqCst))
            }
        }
    }

    /// From here on the process is ending, signal or not.
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
    /// The number of the last signal; 0 if none came.
    signal: Arc<AtomicUsize>,
    sender: watch::Sender<Option<&'static str>>,
    /// When the first signal came.
    first: Option<Instant>,
    deadline: Option<Instant>,
}

impl Watchdog {
    fn run(mut self) {
        let mut bytes = [0; 64];
        loop {
            let left = self.deadline.map(|deadline| {
                let left = deadline.saturating_duration_since(Instant::now());
                // Zero would be without end.
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
                // Interrupted, or the time is over.
                Err(_) => {}
            }
            if self
                .deadline
                .is_some_and(|deadline| deadline <= Instant::now())
            {
                complain(&format!(
                    "something hangs: it did not stop within {} s, and is ended",
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
            Some(first) if now < first + SAME => {}
            Some(_) => low_level::exit(1),
        }
    }
}
