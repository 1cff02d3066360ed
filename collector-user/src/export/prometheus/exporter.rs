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

/// The maximum number of queued samples and scrapes.
const WAITING: usize = 64;

/// How long a text is reused, unless a sample arrives.
const SAME: Duration = Duration::from_secs(1);

/// Encodes Prometheus text on a thread of its own.
///
/// A scrape does not delay the threads that run the bus, however many processes
/// there are; concurrent scrapes get the same text.
#[derive(Clone, Debug)]
pub struct Exporter {
    sender: SyncSender<Message>,
}

/// The exporter is overloaded, or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the exporter does not answer")]
pub struct ExporterEnded;

enum Message {
    Sample(AnySample),
    Scrape(MetricsManager, oneshot::Sender<Bytes>),
}

impl Exporter {
    /// Starts the thread. At most `processes` processes have series of their
    /// own, as many cgroups, and as many pairs of cgroups.
    ///
    /// # Errors
    ///
    /// When no thread can be created.
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

    /// Observes a sample: to be called with each sample, in order, before
    /// [`text`](Self::text) is expected to include it. Never blocks.
    pub fn observe(&self, sample: &AnySample) {
        if is_observed(&sample.metric) && sample.data.is_some() {
            // A sample that finds the queue full is no loss: counters of the
            // next one include it.
            let _ = self.sender.try_send(Message::Sample(sample.clone()));
        }
    }

    /// The text of the latest samples.
    ///
    /// # Errors
    ///
    /// When the exporter is overloaded, or has ended.
    pub async fn text(&self, manager: &MetricsManager) -> Result<Bytes, ExporterEnded> {
        let (reply, text) = oneshot::channel();
        let scrape = Message::Scrape(manager.clone(), reply);
        self.sender
            .try_send(scrape)
            .map_err(|_full| ExporterEnded)?;
        text.await.map_err(|_panicked| ExporterEnded)
    }
}

/// The state of the thread.
struct State {
    processes: usize,
    families: Families,
    own: Arc<OwnCounters>,
    /// A text without readers, whose allocation is reused.
    spare: Arc<Spare>,
    last: Option<Last>,
}

/// The last text and the version of the samples in it.
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
                // The counters of the rows start anew, as after a restart.
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

/// A text whose allocation is returned when its last reader is done.
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
