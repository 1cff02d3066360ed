use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Maximum size of the pending lines, in bytes: some thousand lines.
pub(super) const CAPACITY: usize = 1 << 20;

/// How long after a failed write the number of lost lines is written again, if nothing
/// is logged before.
const RETRY: Duration = Duration::from_secs(5);

/// The lines that have not been written yet, bounded by [`CAPACITY`].
#[derive(Debug, Default)]
pub(super) struct Pending {
    lines: Mutex<Lines>,
    /// There is something to write.
    filled: Condvar,
    /// Everything has been written or dropped.
    drained: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    queue: VecDeque<Line>,
    bytes: usize,
    /// Lines that were dropped after the last one in the queue.
    dropped: u64,
    /// Whether the writing thread is in a write.
    is_writing: bool,
    /// Whether the lost lines are to be reported without waiting for another line.
    report_now: bool,
}

#[derive(Debug)]
struct Line {
    /// Lines that were dropped before this one.
    dropped: u64,
    text: Box<[u8]>,
}

/// The next thing to write.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Lines that were dropped before `text`.
    pub(super) dropped: u64,
    /// The line; `None` if only lost lines are to be reported.
    pub(super) text: Option<Box<[u8]>>,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a line. Returns false, and counts it as dropped, if there is no room.
    pub(super) fn push(&self, text: &[u8]) -> bool {
        let mut lines = self.lock();
        if lines.bytes + text.len() > CAPACITY && !lines.queue.is_empty() {
            lines.dropped += 1;
            return false;
        }
        let dropped = std::mem::take(&mut lines.dropped);
        lines.bytes += text.len();
        lines.queue.push_back(Line {
            dropped,
            text: text.into(),
        });
        drop(lines);
        self.filled.notify_one();
        true
    }

    /// The next thing to write, if there is one.
    pub(super) fn try_next(&self) -> Option<Work> {
        let mut lines = self.lock();
        lines.pop().or_else(|| {
            let dropped = std::mem::take(&mut lines.dropped);
            (dropped > 0).then_some(Work {
                dropped,
                text: None,
            })
        })
    }

    /// Waits for the next thing to write. With `has_unreported`, this is after
    /// [`RETRY`] the report of lost lines.
    pub(super) fn next(&self, has_unreported: bool) -> Work {
        let mut lines = self.lock();
        lines.is_writing = false;
        let mut timed_out = false;
        loop {
            if let Some(work) = lines.pop() {
                lines.is_writing = true;
                return work;
            }
            let reports = has_unreported && (timed_out || lines.report_now);
            lines.report_now = false;
            if lines.dropped > 0 || reports {
                lines.is_writing = true;
                return Work {
                    dropped: std::mem::take(&mut lines.dropped),
                    text: None,
                };
            }
            self.drained.notify_all();
            if has_unreported {
                let waited = self
                    .filled
                    .wait_timeout(lines, RETRY)
                    .unwrap_or_else(PoisonError::into_inner);
                timed_out = waited.1.timed_out();
                lines = waited.0;
            } else {
                lines = self
                    .filled
                    .wait(lines)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Waits until another thread has written or dropped all lines, at most for
    /// `timeout`.
    pub(super) fn wait_until_drained(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut lines = self.lock();
        lines.report_now = true;
        self.filled.notify_one();
        while lines.report_now || lines.is_writing || !lines.queue.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            (lines, _) = self
                .drained
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Lines {
    fn pop(&mut self) -> Option<Work> {
        let line = self.queue.pop_front()?;
        self.bytes -= line.text.len();
        Some(Work {
            dropped: line.dropped,
            text: Some(line.text),
        })
    }
}
