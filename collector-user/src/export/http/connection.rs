use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
};

use crate::export::Dropped;

/// How long a client that keeps its connection may ask for nothing. Longer than
/// scrapers usually wait between two scrapes.
const IDLE: Duration = Duration::from_secs(75);
/// How long a request may take from its first byte to the end of its header.
const REQUEST: Duration = Duration::from_secs(10);
/// How long an answer may take until the client has read it.
const ANSWER: Duration = Duration::from_secs(30);

/// What a connection is at, and since when.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) opened: Instant,
    at: Mutex<At>,
    /// Told when another one needs its place.
    pub(super) displaced: Notify,
}

#[derive(Clone, Copy, Debug)]
struct At {
    stage: Stage,
    since: Instant,
    /// Since when there is an answer of which the kernel did not take all.
    unsent_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Request,
    Answer,
}

impl Connection {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            opened: now,
            at: Mutex::new(At {
                stage: Stage::Idle,
                since: now,
                unsent_since: None,
            }),
            displaced: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, stage: Stage) {
        let mut at = self.lock();
        at.stage = stage;
        at.since = Instant::now();
    }

    /// A request is there.
    pub(super) fn asked(&self) {
        self.enter(Stage::Answer);
    }

    /// Since when it has been at what it is at.
    pub(super) fn since(&self) -> Instant {
        let at = self.lock();
        at.unsent_since.unwrap_or(at.since)
    }

    /// Why it is to be closed, if it has been at something for too long.
    pub(super) fn overdue(&self, now: Instant) -> Option<Dropped> {
        let at = self.lock();
        let (since, longest, reason) = match (at.unsent_since, at.stage) {
            (Some(since), _) => (since, ANSWER, Dropped::SlowReader),
            (None, Stage::Answer) => (at.since, ANSWER, Dropped::SlowReader),
            (None, Stage::Request) => (at.since, REQUEST, Dropped::SlowRequest),
            (None, Stage::Idle) => (at.since, IDLE, Dropped::Idle),
        };
        (now.saturating_duration_since(since) > longest).then_some(reason)
    }

    fn has_read(&self, bytes: usize) {
        if bytes > 0 && self.lock().stage == Stage::Idle {
            self.enter(Stage::Request);
        }
    }

    fn has_written<T>(&self, result: &Poll<io::Result<T>>) {
        if result.is_pending() {
            let mut at = self.lock();
            at.unsent_since.get_or_insert_with(Instant::now);
        }
    }
}

/// A socket that tells its connection what happens on it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) stream: TcpStream,
    pub(super) connection: Arc<Connection>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.connection.has_read(buffer.filled().len() - before);
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.connection.has_written(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.connection.has_written(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when all that was to be written has been.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        if result.is_ready() {
            let mut at = self.connection.lock();
            if at.unsent_since.take().is_some() && at.stage == Stage::Idle {
                at.since = Instant::now();
            }
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// An answer, all of it at once.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) bytes: Bytes,
    pub(super) connection: Arc<Connection>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

impl Drop for Answer {
    /// What is written from here on is seen on the socket.
    fn drop(&mut self) {
        self.connection.enter(Stage::Idle);
    }
}
