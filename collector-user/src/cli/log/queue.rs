use std::{
    collections::VecDeque,
    fmt::{self, Write as _},
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use collector::config::LogFormat;
use tracing_subscriber::fmt::MakeWriter;

/// How many bytes may wait to be written: some thousand lines.
const CAPACITY: usize = 1 << 20;

/// How long after a failed write it is tried to say how many lines were lost,
/// if nothing is logged until then.
const RETRY: Duration = Duration::from_secs(5);

/// Where the log goes.
pub(super) trait Out: Write + Send {
    /// Whether it takes a line now without waiting for a reader.
    fn is_ready(&self) -> bool;
}

/// The lines of the log on their way to a thread that writes them.
///
/// Logging waits for nobody and does not fail: a line that finds the queue full
/// because nobody reads the pipe, or that cannot be written because the disk is
/// full, is counted. Once writing works again, a line in its place says how
/// many were lost.
///
/// While a thread cannot be made, who logs also writes, as long as that does
/// not block.
#[derive(Clone, Debug)]
pub(super) struct LogQueue {
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    /// The thread has something to do.
    filled: Condvar,
    /// The thread has done all that it can.
    drained: Condvar,
    /// How many lines were lost, in all.
    lost: Arc<AtomicU64>,
    /// Until a thread has it.
    writer: Mutex<Option<Writer>>,
    has_thread: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// What waits to be written.
#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Line>,
    bytes: usize,
    /// How many lines were dropped after the last one that waits.
    dropped: u64,
    /// Whether the thread is writing.
    is_writing: bool,
    /// Whether what was lost is to be said without waiting for another line.
    retry: bool,
}

#[derive(Debug)]
struct Line {
    /// How many lines were dropped just before this one.
    dropped: u64,
    text: Box<[u8]>,
}

/// What the thread does next.
#[derive(Debug, Default)]
struct Work {
    dropped: u64,
    text: Option<Box<[u8]>>,
}

impl LogQueue {
    /// A queue whose thread writes to `out`.
    pub(super) fn new(out: impl Out + 'static, format: LogFormat) -> Self {
        let lost = Arc::<AtomicU64>::default();
        let writer = Writer {
            out: Box::new(out),
            format,
            unsaid: 0,
            is_torn: false,
            lost: Arc::clone(&lost),
        };
        let shared = Shared {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            drained: Condvar::new(),
            lost,
            writer: Mutex::new(Some(writer)),
            has_thread: AtomicBool::new(false),
        };
        let queue = Self {
            shared: Arc::new(shared),
        };
        queue.write_without_thread();
        queue
    }

    /// If there is no thread yet, starts it, or else writes what can be.
    fn write_without_thread(&self) {
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
            while writer.out.is_ready()
                && let Some(work) = self.shared.try_next()
            {
                writer.write(work);
            }
        }
    }

    /// How many lines were lost, in all.
    pub(super) fn lines_lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.lost)
    }

    /// Puts a line at the end, or counts it as lost.
    pub(super) fn push(&self, text: &[u8]) {
        let mut waiting = self.shared.lock();
        if waiting.bytes + text.len() > CAPACITY && !waiting.lines.is_empty() {
            waiting.dropped += 1;
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let dropped = std::mem::take(&mut waiting.dropped);
        waiting.bytes += text.len();
        waiting.lines.push_back(Line {
            dropped,
            text: text.into(),
        });
        drop(waiting);
        self.shared.filled.notify_one();
        self.write_without_thread();
    }

    /// Waits until all is written or lost, but no longer than that.
    pub(super) fn flush(&self, patience: Duration) {
        self.write_without_thread();
        if !self.shared.has_thread.load(Ordering::Acquire) {
            return;
        }
        let deadline = Instant::now() + patience;
        let mut waiting = self.shared.lock();
        waiting.retry = true;
        self.shared.filled.notify_one();
        while waiting.retry || waiting.is_writing || !waiting.lines.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            (waiting, _) = self
                .shared
                .drained
                .wait_timeout(waiting, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the thread does, for as long as the process lives.
    fn run(&self) {
        let writer = self.writer.lock();
        let writer = writer.unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut writer) = writer else { return };
        loop {
            let work = self.next(writer.unsaid > 0);
            writer.write(work);
        }
    }

    /// What is to be written, if there is something.
    fn try_next(&self) -> Option<Work> {
        let mut waiting = self.lock();
        let Some(line) = waiting.lines.pop_front() else {
            let dropped = std::mem::take(&mut waiting.dropped);
            return (dropped > 0).then_some(Work {
                dropped,
                text: None,
            });
        };
        waiting.bytes -= line.text.len();
        Some(Work {
            dropped: line.dropped,
            text: Some(line.text),
        })
    }

    /// Waits for something to be written, or for the time to say what was
    /// lost.
    fn next(&self, has_unsaid: bool) -> Work {
        let mut waiting = self.lock();
        waiting.is_writing = false;
        let mut is_late = false;
        loop {
            if let Some(line) = waiting.lines.pop_front() {
                waiting.bytes -= line.text.len();
                waiting.is_writing = true;
                return Work {
                    dropped: line.dropped,
                    text: Some(line.text),
                };
            }
            let retries = has_unsaid && (is_late || waiting.retry);
            waiting.retry = false;
            if waiting.dropped > 0 || retries {
                waiting.is_writing = true;
                return Work {
                    dropped: std::mem::take(&mut waiting.dropped),
                    text: None,
                };
            }
            self.drained.notify_all();
            if has_unsaid {
                let waited = self
                    .filled
                    .wait_timeout(waiting, RETRY)
                    .unwrap_or_else(PoisonError::into_inner);
                is_late = waited.1.timed_out();
                waiting = waited.0;
            } else {
                waiting = self
                    .filled
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// What is known of what was written.
struct Writer {
    out: Box<dyn Out>,
    format: LogFormat,
    /// Lines that were lost and of which nothing was said yet.
    unsaid: u64,
    /// Whether the last line was cut in the middle.
    is_torn: bool,
    lost: Arc<AtomicU64>,
}

impl Writer {
    fn write(&mut self, work: Work) {
        self.unsaid += work.dropped;
        if self.unsaid > 0
            && self
                .line(notice(self.unsaid, self.format).as_bytes())
                .is_ok()
        {
            self.unsaid = 0;
        }
        if let Some(text) = work.text
            && self.line(&text).is_err()
        {
            self.unsaid += 1;
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes a line with as few calls as can be, so that it stays whole where
    /// others write to the same file.
    fn line(&mut self, text: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.out.write_all(b"\n")?;
            self.is_torn = false;
        }
        let mut rest = text;
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(written) if written > 0 => rest = &rest[written..],
                Ok(_) => {
                    return Err(self.torn(rest.len() < text.len(), io::ErrorKind::WriteZero.into()));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.torn(rest.len() < text.len(), error)),
            }
        }
        Ok(())
    }

    fn torn(&mut self, is_torn: bool, error: io::Error) -> io::Error {
        self.is_torn |= is_torn;
        error
    }
}

/// The line in the place of those that were lost.
fn notice(lost: u64, format: LogFormat) -> String {
    const TARGET: &str = "collector::log";
    let time = humantime::format_rfc3339_micros(SystemTime::now());
    let message = format!("{lost} log lines were lost: they could not be written");
    let mut line = match format {
        LogFormat::Text => format!("{time}  WARN {TARGET}: {message}"),
        LogFormat::Json => serde_json::json!({
            "timestamp": time.to_string(),
            "level": "WARN",
            "message": message,
            "lost": lost,
            "target": TARGET,
        })
        .to_string(),
    };
    let _ = line.write_char('\n');
    line
}

/// One line of the log: the subscriber writes each whole.
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

    use super::*;

    /// A file that takes as much as it is told to.
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
    fn lines_that_find_the_disk_full_are_counted_and_said_when_there_is_room() {
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
    fn what_was_lost_at_the_end_is_said_at_the_end() {
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
    fn a_pipe_that_nobody_reads_holds_up_nobody() {
        let (reader, reads) = mpsc::channel();
        let content = Arc::<Mutex<Vec<u8>>>::default();
        let log = LogQueue::new(Pipe(reads, Arc::clone(&content)), LogFormat::Text);
        let line = [b'x'; 1023];
        let line: Vec<u8> = line.iter().copied().chain([b'\n']).collect();
        for _ in 0..3000 {
            log.push(&line);
        }
        let lost = log.lines_lost().load(Ordering::SeqCst);
        // One line may be with the thread already.
        let kept = (CAPACITY / 1024) as u64;
        assert!((3000 - kept - 1..=3000 - kept).contains(&lost), "{lost}");
        log.flush(Duration::from_millis(1));

        drop(reader);
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
