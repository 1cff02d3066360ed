use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Families, Scrape, is_observed, text::Text};
use crate::{
    export::OwnCounters,
    manager::MetricsManager,
    metric::AnySample,
    source::{Clock as _, SystemClock},
};

/// How many samples and scrapes may wait for the thread.
const WAITING: usize = 64;

/// How long a text is given to all who ask, unless a sample comes before.
const SAME: Duration = Duration::from_secs(1);

/// Makes Prometheus text, on a thread of its own.
///
/// The threads that run the bus are not held up by a scrape, however many
/// processes there are, and whoever asks at the same time gets the same text.
#[derive(Clone, Debug)]
pub struct Exporter {
    sender: SyncSender<Message>,
}

/// The exporter does not answer: it has too much to do, or it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the exporter does not answer")]
pub struct ExporterEnded;

enum Message {
    Sample(AnySample),
    Scrape(MetricsManager, oneshot::Sender<Bytes>),
}

impl Exporter {
    /// Starts the thread. At most so many processes have series of their own,
    /// and as many cgroups, and pairs of them.
    ///
    /// # Errors
    ///
    /// When a thread cannot be made.
    pub fn start(processes: usize, own: Arc<OwnCounters>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let state = State {
            processes,
            families: Families::new(processes),
            own,
            spare: Arc::default(),
            last: None,
        };
        thread::Builder::new()
            .name("collector-export".to_owned())
            .spawn(move || state.run(&receiver))?;
        Ok(Self { sender })
    }

    /// Takes in a sample: to be called with each one, in their order, before
    /// [`text`](Self::text) is asked for what has it in it. It waits for
    /// nothing.
    pub fn observe(&self, sample: &AnySample) {
        if is_observed(&sample.metric) && sample.data.is_some() {
            // One that finds no room is not missed: the next one has all that
            // was counted until then.
            let _ = self.sender.try_send(Message::Sample(sample.clone()));
        }
    }

    /// The text of the latest samples.
    ///
    /// # Errors
    ///
    /// When the thread has too much to do, or has ended.
    pub async fn text(&self, manager: &MetricsManager) -> Result<Bytes, ExporterEnded> {
        let (reply, text) = oneshot::channel();
        let scrape = Message::Scrape(manager.clone(), reply);
        self.sender
            .try_send(scrape)
            .map_err(|_full| ExporterEnded)?;
        text.await.map_err(|_panicked| ExporterEnded)
    }
}

/// What the thread works with.
struct State {
    processes: usize,
    families: Families,
    own: Arc<OwnCounters>,
    /// A text that all have read, to be written over.
    spare: Arc<Spare>,
    last: Option<Last>,
}

/// The last text, and of what it was made.
struct Last {
    version: u64,
    at: Instant,
    text: Bytes,
}

type Spare = Mutex<Option<String>>;

impl State {
    fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            let done = catch_unwind(AssertUnwindSafe(|| self.take_in(message)));
            if done.is_err() {
                // The counters of the rows begin anew, as after a restart.
                self.families = Families::new(self.processes);
                self.last = None;
            }
        }
    }

    fn take_in(&mut self, message: Message) {
        match message {
            Message::Sample(sample) => self.families.observe(&sample),
            Message::Scrape(manager, reply) => {
                let text = self.text(&manager);
                let _ = reply.send(text);
            }
        }
    }

    fn text(&mut self, manager: &MetricsManager) -> Bytes {
        let version = manager.version();
        if let Some(last) = &self.last
            && last.version == version
            && last.at.elapsed() < SAME
        {
            return last.text.clone();
        }
        self.last = None;
        let spare = lock(&self.spare).take().unwrap_or_default();
        let mut text = Text::in_place_of(spare);
        let scrape = Scrape {
            samples: &manager.held(),
            boottime_ns: SystemClock.now().boottime_ns,
            status: &manager.bus().status(),
            own: &self.own,
        };
        self.families.encode(&mut text, &scrape);
        let text = Bytes::from_owner(Shared {
            text: text.finish(),
            spare: Arc::clone(&self.spare),
        });
        self.last = Some(Last {
            version,
            at: Instant::now(),
            text: text.clone(),
        });
        text
    }
}

fn lock(spare: &Spare) -> std::sync::MutexGuard<'_, Option<String>> {
    spare.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A text that is given back when nobody reads it any more.
struct Shared {
    text: String,
    spare: Arc<Spare>,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        *lock(&self.spare) = Some(std::mem::take(&mut self.text));
    }
}
