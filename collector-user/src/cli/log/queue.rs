use std::{
    fmt,
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use collector::config::LogFormat;
use tracing_subscriber::fmt::MakeWriter;

use super::{
    pending::Pending,
    writer::{Out, Writer},
};

/// The log, written by a thread of its own.
///
/// Logging neither blocks nor fails. A line is lost if the queue is full because nobody
/// reads the pipe, or if it cannot be written because the disk is full. Lost lines are
/// counted, and reported in a line once writing works again.
///
/// While the thread cannot be created, the caller writes, as long as that does not block.
#[derive(Clone, Debug)]
pub(super) struct LogQueue {
    shared: Arc<Shared>,
}

struct Shared {
    pending: Pending,
    /// Lost lines, in total.
    lost: Arc<AtomicU64>,
    /// `None` once the thread has taken it.
    writer: Mutex<Option<Writer>>,
    has_thread: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl LogQueue {
    /// A queue whose thread writes to `out`.
    pub(super) fn new(out: impl Out + 'static, format: LogFormat) -> Self {
        let lost = Arc::<AtomicU64>::default();
        let writer = Writer::new(out, format, Arc::clone(&lost));
        let shared = Shared {
            pending: Pending::default(),
            lost,
            writer: Mutex::new(Some(writer)),
            has_thread: AtomicBool::new(false),
        };
        let queue = Self {
            shared: Arc::new(shared),
        };
        queue.ensure_writing();
        queue
    }

    /// Starts the thread if it does not run yet. If it cannot be created, writes what
    /// can be written without blocking.
    fn ensure_writing(&self) {
        if self.shared.has_thread.load(Ordering::Acquire) {
            return;
        }
        let writer = self.shared.writer.try_lock();
        let Ok(mut writer) = writer else { return };
        if writer.is_none() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("collector-log".to_owned());
        if thread.spawn(move || shared.run()).is_ok() {
            self.shared.has_thread.store(true, Ordering::Release);
            return;
        }
        if let Some(writer) = &mut *writer {
            while writer.is_ready()
                && let Some(work) = self.shared.pending.try_next()
            {
                writer.write(work);
            }
        }
    }

    /// The number of lost lines.
    pub(super) fn lines_lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.lost)
    }

    /// Appends a line, or counts it as lost.
    pub(super) fn push(&self, text: &[u8]) {
        if self.shared.pending.push(text) {
            self.ensure_writing();
        } else {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all lines are written or lost, at most for `timeout`.
    pub(super) fn flush(&self, timeout: Duration) {
        self.ensure_writing();
        if self.shared.has_thread.load(Ordering::Acquire) {
            self.shared.pending.wait_until_drained(timeout);
        }
    }
}

impl Shared {
    /// The thread, which runs until the process exits.
    fn run(&self) {
        let writer = self.writer.lock();
        let writer = writer.unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut writer) = writer else { return };
        loop {
            let work = self.pending.next(writer.has_unreported());
            writer.write(work);
        }
    }
}

/// Appends to the queue what the subscriber writes: one line a call.
#[derive(Debug)]
pub(super) struct LineWriter<'q>(&'q LogQueue);

impl Write for LineWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'q> MakeWriter<'q> for LogQueue {
    type Writer = LineWriter<'q>;

    fn make_writer(&'q self) -> LineWriter<'q> {
        LineWriter(self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::{super::pending::CAPACITY, *};

    /// A file with limited space.
    #[derive(Clone, Default)]
    struct Disk {
        content: Arc<Mutex<Vec<u8>>>,
        room: Arc<AtomicU64>,
    }

    impl Disk {
        fn text(&self) -> String {
            String::from_utf8(self.content.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.room.load(Ordering::SeqCst) as usize;
            let fits = bytes.len().min(room);
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room.fetch_sub(fits as u64, Ordering::SeqCst);
            self.content.lock().unwrap().extend(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Out for Disk {
        fn is_ready(&self) -> bool {
            true
        }
    }

    impl Out for Pipe {
        fn is_ready(&self) -> bool {
            false
        }
    }

    /// A pipe whose reader decides when each write ends.
    struct Pipe(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn lines_lost_to_a_full_disk_are_counted_and_reported_when_there_is_room() {
        let disk = Disk::default();
        disk.room.store(12, Ordering::SeqCst);
        let log = LogQueue::new(disk.clone(), LogFormat::Text);
        log.push(b"the first\n");
        log.push(b"the second\n");
        log.push(b"the third\n");
        log.flush(LONG);
        assert_eq!(disk.text(), "the first\nth");
        assert_eq!(log.lines_lost().load(Ordering::SeqCst), 2);

        disk.room.store(1000, Ordering::SeqCst);
        log.push(b"the fourth\n");
        log.flush(LONG);
        let text = disk.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert_eq!(lines[1], "th");
        assert!(
            lines[2]
                .ends_with("WARN collector::log: 2 log lines were lost: they could not be written")
        );
        assert_eq!(lines[3], "the fourth");
        assert_eq!(log.lines_lost().load(Ordering::SeqCst), 2);
    }

    #[test]
    fn lines_lost_at_the_end_are_reported_by_a_flush() {
        let disk = Disk::default();
        let log = LogQueue::new(disk.clone(), LogFormat::Json);
        log.push(b"lost\n");
        log.flush(LONG);
        disk.room.store(1000, Ordering::SeqCst);
        log.flush(LONG);
        let line: serde_json::Value = serde_json::from_str(disk.text().trim()).unwrap();
        assert_eq!(line["lost"], 1);
        assert_eq!(line["level"], "WARN");
    }

    #[test]
    fn a_pipe_that_nobody_reads_does_not_block_logging() {
        let (reader, reads) = mpsc::channel();
        let content = Arc::<Mutex<Vec<u8>>>::default();
        let log = LogQueue::new(Pipe(reads, Arc::clone(&content)), LogFormat::Text);
        let line = [b'x'; 1023];
        let line: Vec<u8> = line.iter().copied().chain([b'\n']).collect();
        for _ in 0..3000 {
            log.push(&line);
        }
        let lost = log.lines_lost().load(Ordering::SeqCst);
        // The thread may have taken one line already.
        let kept = (CAPACITY / 1024) as u64;
        assert!((3000 - kept - 1..=3000 - kept).contains(&lost), "{lost}");
        log.flush(Duration::from_millis(1));

        drop(reader);
        // Until there is room for another line.
        log.flush(LONG);
        log.push(b"the last\n");
        log.flush(LONG);
        let text = String::from_utf8(content.lock().unwrap().clone()).unwrap();
        let mut end = text.lines().rev();
        assert_eq!(end.next(), Some("the last"));
        assert!(
            end.next()
                .unwrap()
                .contains(&format!("{lost} log lines were lost"))
        );
        assert_eq!(
            end.filter(|line| line.len() == 1023).count() as u64,
            3000 - lost
        );
    }
}
