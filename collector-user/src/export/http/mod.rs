//! The Prometheus endpoint: `/metrics`, `/healthz`, `/readyz`.
//!
//! Whoever can connect may try to hold it up. What that can take of the agent
//! is bounded: the number of connections, the size of a request, how long each
//! step may take, and the memory of answers, which are shared.

mod connection;
mod episode;
mod host;
mod places;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use hyper::{
    Method, Request, Response, StatusCode, Version,
    body::Incoming,
    header::{ALLOW, CONTENT_TYPE, HOST, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    time::{Duration, sleep},
};
use tracing::warn;

use super::{
    Dropped, OwnCounters, Refused,
    prometheus::{self, Exporter},
};
use crate::manager::{MetricsManager, Unhealthy};
use connection::{Answer, Connection, Watched};
use episode::Episode;
use host::Hosts;
use places::{Place, Places};

/// How many connections there may be at most.
const CONNECTIONS: u64 = 64;
/// And at least, however few files may be open.
const FEWEST_CONNECTIONS: u64 = 4;
/// The part of the files that may be open that connections may be: the others
/// are for collecting.
const PART_OF_FILES: u64 = 8;
/// How long a request may be, without its body, of which nothing is read.
const REQUEST_BYTES: usize = 16 << 10;
/// How many bytes of an answer the kernel holds for a client that does not read.
const SEND_BUFFER: u32 = 128 << 10;
/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;
/// How often it is looked whether a connection has been at something for too
/// long.
const LOOK: Duration = Duration::from_secs(2);
/// How long it waits before it accepts again where that failed.
const RECOVERY: Duration = Duration::from_millis(50);

/// The exporter cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody else listens there.
    #[error(
        "the address {0} is in use, perhaps by another collector: set prometheus.listen to \
         another one, or prometheus.enabled to false"
    )]
    InUse(SocketAddr),
    /// Any other reason.
    #[error("cannot listen on {address}: {error}; set prometheus.listen to another address")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the kernel answered.
        error: io::Error,
    },
    /// Connections can no longer be accepted.
    #[error("cannot accept connections on {address} any more: {error}")]
    Accept {
        /// Where.
        address: SocketAddr,
        /// What the kernel answered.
        error: io::Error,
    },
}

/// The Prometheus endpoint: `/metrics`, `/healthz`, `/readyz`.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// What a [`Server`] answers with, and whom.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Names of this host under which it is asked, besides its own and
    /// `localhost`. Its addresses are always answered.
    pub hosts: Vec<String>,
    /// What it counts, and what else of the agent is shown.
    pub own: Arc<OwnCounters>,
}

struct Shared {
    manager: MetricsManager,
    exporter: Exporter,
    hosts: Hosts,
    own: Arc<OwnCounters>,
    /// When connections were dropped, to be logged.
    dropped: Episode,
    refused: Episode,
}

impl Server {
    /// Takes the address, before anything else is started.
    ///
    /// # Errors
    ///
    /// When it is taken, or cannot be had.
    ///
    /// # Panics
    ///
    /// When called outside of a tokio runtime.
    pub fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let listener = match listen(address) {
            Ok(listener) => listener,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(ServeError::InUse(address));
            }
            Err(error) => return Err(ServeError::Listen { address, error }),
        };
        // Port 0 asks the kernel for any port that is free.
        let address = listener.local_addr().unwrap_or(address);
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` changes or its sender is gone, and then until the
    /// answers that are under way are read.
    ///
    /// # Errors
    ///
    /// When connections can no longer be accepted.
    pub async fn serve(
        self,
        manager: MetricsManager,
        exporter: Exporter,
        options: HttpOptions,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ServeError> {
        let shared = Arc::new(Shared {
            manager,
            exporter,
            hosts: Hosts::new(&options.hosts),
            own: options.own,
            dropped: Episode::default(),
            refused: Episode::default(),
        });
        let count = connection_limit();
        let places = Places::new(count);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.changed() => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    self.recover(error, &shared).await?;
                    continue;
                }
            };
            let place = tokio::select! {
                place = places.take(|| shared.has_dropped(Dropped::Displaced)) => place,
                _ = stop.changed() => break,
            };
            let serving = serve(stream, place, Arc::clone(&shared), stop.clone());
            tokio::spawn(serving);
        }
        drop(self.listener);
        places.all_free(count).await;
        Ok(())
    }

    /// What to do where a connection could not be accepted.
    async fn recover(&self, error: io::Error, shared: &Shared) -> Result<(), ServeError> {
        use rustix::io::Errno;
        let errno = error.raw_os_error().map(Errno::from_raw_os_error);
        match errno {
            // There is no room at the moment.
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                if shared.dropped.begins() {
                    warn!(address = %self.address, "cannot accept a connection: {error}");
                }
                sleep(RECOVERY).await;
                Ok(())
            }
            Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP) => {
                Err(ServeError::Accept {
                    address: self.address,
                    error,
                })
            }
            // The network had an error for this connection.
            _ => Ok(()),
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // As the standard library does: connections of a process before may linger.
    socket.set_reuseaddr(true)?;
    // Connections have it from the socket that they come from.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// How many connections there may be, by how many files may be open.
fn connection_limit() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let part = files.map_or(CONNECTIONS, |files| files / PART_OF_FILES);
    part.clamp(FEWEST_CONNECTIONS, CONNECTIONS) as usize
}

/// Serves one connection.
async fn serve(
    stream: TcpStream,
    place: Place,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let connection = Arc::clone(&place.connection);
    let io = TokioIo::new(Watched {
        stream,
        connection: Arc::clone(&connection),
    });
    let service = service_fn(|request| {
        let (shared, connection) = (Arc::clone(&shared), Arc::clone(&connection));
        async move { Ok::<_, Infallible>(shared.answer(&request, connection).await) }
    });
    let serving = http1::Builder::new()
        .max_buf_size(REQUEST_BYTES)
        .header_read_timeout(None)
        .serve_connection(io, service);
    let mut serving = std::pin::pin!(serving);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            served = &mut serving => {
                if served.is_err_and(|error| error.is_parse()) {
                    shared.has_refused(Refused::Malformed, "it is not a request in HTTP");
                }
                return;
            }
            () = place.connection.displaced.notified() => return,
            () = sleep(LOOK) => {
                if let Some(reason) = connection.overdue(Instant::now()) {
                    shared.has_dropped(reason);
                    return;
                }
            }
            _ = stop.changed(), if !is_stopping => {
                is_stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

fn unavailable(unhealthy: &Unhealthy) -> (StatusCode, Bytes) {
    let text = format!("collector is alive, but does not work: {unhealthy}\n");
    (StatusCode::SERVICE_UNAVAILABLE, text.into())
}

impl Shared {
    async fn answer(
        &self,
        request: &Request<Incoming>,
        connection: Arc<Connection>,
    ) -> Response<Answer> {
        connection.asked();
        let (status, text) = self.text(request).await;
        let mut response = Response::new(Answer {
            bytes: text,
            connection,
        });
        *response.status_mut() = status;
        let is_metrics = status == StatusCode::OK && request.uri().path() == "/metrics";
        let content_type = if is_metrics {
            prometheus::CONTENT_TYPE
        } else {
            "text/plain; charset=utf-8"
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }

    async fn text(&self, request: &Request<Incoming>) -> (StatusCode, Bytes) {
        let fixed = |status, text: &'static str| (status, Bytes::from_static(text.as_bytes()));
        if !self.is_for_us(request) {
            let reason = match request.headers().get(HOST) {
                Some(host) => format!("its host is {host:?}"),
                None => "it names no host".to_owned(),
            };
            self.has_refused(Refused::Host, &reason);
            return fixed(
                StatusCode::MISDIRECTED_REQUEST,
                "This collector does not know itself by that name: use an address, or add the \
                 name to prometheus.hosts.\n",
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return fixed(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        }
        match request.uri().path() {
            "/metrics" => match self.exporter.text(&self.manager).await {
                Ok(text) => (StatusCode::OK, text),
                Err(error) => {
                    let text = format!("{error}\n");
                    (StatusCode::SERVICE_UNAVAILABLE, text.into())
                }
            },
            "/healthz" => match self.manager.health() {
                Ok(()) => fixed(StatusCode::OK, "collector is alive\n"),
                Err(unhealthy) => unavailable(&unhealthy),
            },
            "/readyz" => self.ready(),
            _ => fixed(
                StatusCode::NOT_FOUND,
                "collector serves /metrics, /healthz and /readyz\n",
            ),
        }
    }

    /// Ready is when each metric of tiers 2 and 3 has a reading, or a reason
    /// why it has none, and new ones come.
    fn ready(&self) -> (StatusCode, Bytes) {
        if let Err(unhealthy) = self.manager.health() {
            return unavailable(&unhealthy);
        }
        let awaited = self.manager.awaited();
        if awaited.is_empty() {
            return (StatusCode::OK, Bytes::from_static(b"ready\n"));
        }
        let text = format!("waiting for {}\n", awaited.join(", "));
        (StatusCode::SERVICE_UNAVAILABLE, text.into())
    }

    /// Whether the names that a request gives are those of this host.
    fn is_for_us(&self, request: &Request<Incoming>) -> bool {
        let mut names = request.headers().get_all(HOST).iter().peekable();
        // HTTP before 1.1 has no such header, and no browser sends it.
        if names.peek().is_none() && request.version() > Version::HTTP_10 {
            return false;
        }
        let mut named = names.map(|name| name.to_str().unwrap_or_default());
        let authority = request.uri().authority();
        named.all(|name| self.hosts.has(name))
            && authority.is_none_or(|authority| self.hosts.has(authority.as_str()))
    }

    fn has_dropped(&self, reason: Dropped) {
        self.own.drop_one(reason);
        if reason != Dropped::Idle && self.dropped.begins() {
            warn!(%reason, "closed a connection to the Prometheus endpoint; more are only counted");
        }
    }

    fn has_refused(&self, reason: Refused, what: &str) {
        self.own.refuse_one(reason);
        if self.refused.begins() {
            warn!("refused a request to the Prometheus endpoint: {what}; more are only counted");
        }
    }
}
