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

/// Keep-alive timeout: longer than usual scrape intervals.
const IDLE: Duration = Duration::from_secs(75);
/// Timeout from the first byte of a request to the end of its header.
const REQUEST: Duration = Duration::from_secs(10);
/// Timeout until the client has read the response.
const RESPONSE: Duration = Duration::from_secs(30);

/// The state of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) opened: Instant,
    progress: Mutex<Progress>,
    /// Notified when the connection must be closed in favour of a new one.
    pub(super) displaced: Notify,
}

/// The stage of a connection, and when it was entered.
#[derive(Clone, Copy, Debug)]
struct Progress {
    stage: Stage,
    since: Instant,
    /// Since when a part of the response is not accepted by the kernel.
    unsent_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Request,
    Response,
}

impl Connection {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            opened: now,
            progress: Mutex::new(Progress {
                stage: Stage::Idle,
                since: now,
                unsent_since: None,
            }),
            displaced: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, stage: Stage) {
        let mut progress = self.lock();
        progress.stage = stage;
        progress.since = Instant::now();
    }

    /// A request has been received.
    pub(super) fn request_received(&self) {
        self.enter(Stage::Response);
    }

    /// Since when the connection has made no progress.
    pub(super) fn since(&self) -> Instant {
        let progress = self.lock();
        progress.unsent_since.unwrap_or(progress.since)
    }

    /// Why the connection must be closed, if a timeout has expired.
    pub(super) fn overdue(&self, now: Instant) -> Option<Dropped> {
        let progress = self.lock();
        let (since, timeout, reason) = match (progress.unsent_since, progress.stage) {
            (Some(since), _) => (since, RESPONSE, Dropped::SlowReader),
            (None, Stage::Response) => (progress.since, RESPONSE, Dropped::SlowReader),
            (None, Stage::Request) => (progress.since, REQUEST, Dropped::SlowRequest),
            (None, Stage::Idle) => (progress.since, IDLE, Dropped::Idle),
        };
        (now.saturating_duration_since(since) > timeout).then_some(reason)
    }

    fn has_read(&self, bytes: usize) {
        if bytes > 0 && self.lock().stage == Stage::Idle {
            self.enter(Stage::Request);
        }
    }

    fn has_written<T>(&self, result: &Poll<io::Result<T>>) {
        if result.is_pending() {
            let mut progress = self.lock();
            progress.unsent_since.get_or_insert_with(Instant::now);
        }
    }
}

/// A socket that updates the state of its connection.
#[derive(Debug)]
pub(super) struct TrackedStream {
    pub(super) stream: TcpStream,
    pub(super) connection: Arc<Connection>,
}

impl AsyncRead for TrackedStream {
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

impl AsyncWrite for TrackedStream {
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

    /// Called when all data has been written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        if result.is_ready() {
            let mut progress = self.connection.lock();
            if progress.unsent_since.take().is_some() && progress.stage == Stage::Idle {
                progress.since = Instant::now();
            }
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A response body in one frame.
#[derive(Debug)]
pub(super) struct ResponseBody {
    pub(super) bytes: Bytes,
    pub(super) connection: Arc<Connection>,
}

impl Body for ResponseBody {
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

impl Drop for ResponseBody {
    /// From here on the progress of the response is tracked on the socket.
    fn drop(&mut self) {
        self.connection.enter(Stage::Idle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_of_a_connection_has_its_timeout() {
        let connection = Connection::new();
        let overdue_after = |seconds| {
            let now = connection.since() + Duration::from_secs(seconds);
            connection.overdue(now + Duration::from_millis(1))
        };
        assert_eq!(overdue_after(74), None);
        assert_eq!(overdue_after(75), Some(Dropped::Idle));
        connection.has_read(0);
        assert_eq!(overdue_after(10), None);
        connection.has_read(1);
        assert_eq!(overdue_after(9), None);
        assert_eq!(overdue_after(10), Some(Dropped::SlowRequest));
        connection.request_received();
        assert_eq!(overdue_after(29), None);
        assert_eq!(overdue_after(30), Some(Dropped::SlowReader));
        // The response is complete, but the client does not read it.
        connection.has_written(&Poll::<io::Result<()>>::Pending);
        connection.enter(Stage::Idle);
        assert_eq!(overdue_after(29), None);
        assert_eq!(overdue_after(30), Some(Dropped::SlowReader));
    }

    #[test]
    fn bytes_of_a_request_do_not_extend_its_timeout() {
        let connection = Connection::new();
        connection.has_read(1);
        let since = connection.since();
        std::thread::sleep(Duration::from_millis(2));
        connection.has_read(1);
        assert_eq!(connection.since(), since);
    }
}
