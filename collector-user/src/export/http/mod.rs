//! The Prometheus endpoint: `/metrics`, `/healthz`, `/readyz`.
//!
//! Clients are not trusted. The resources that they can use are bounded: the number of
//! connections, the size of a request, the time of each step, and the memory of responses,
//! which are shared.

mod connection;
mod connections;
mod episode;
mod host;

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
use connection::{Connection, ResponseBody, TrackedStream};
use connections::{ConnectionPermit, Connections};
use episode::Episode;
use host::Hosts;

/// The maximum number of connections.
const MAX_CONNECTIONS: u64 = 64;
/// The minimum of that limit, if `RLIMIT_NOFILE` is low.
const MIN_CONNECTIONS: u64 = 4;
/// Connections may use this fraction of `RLIMIT_NOFILE`; the rest is for collection.
const FRACTION_OF_FILES: u64 = 8;
/// The maximum size of a request without its body, which is not read.
const REQUEST_BYTES: usize = 16 << 10;
/// `SO_SNDBUF`: what the kernel buffers for a client that does not read.
const SEND_BUFFER: u32 = 128 << 10;
/// The backlog of listen(2).
const BACKLOG: u32 = 1024;
/// The interval at which the timeouts of a connection are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// The delay before the next accept(2) after a lack of resources.
const ACCEPT_DELAY: Duration = Duration::from_millis(50);

/// The server cannot listen or accept connections.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is in use.
    #[error(
        "the address {0} is in use, perhaps by another collector: set prometheus.listen to \
         another one, or prometheus.enabled to false"
    )]
    InUse(SocketAddr),
    /// The server cannot listen.
    #[error("cannot listen on {address}: {error}; set prometheus.listen to another address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the system call.
        #[source]
        error: io::Error,
    },
    /// Connections can no longer be accepted.
    #[error("cannot accept connections on {address}: {error}")]
    Accept {
        /// The address.
        address: SocketAddr,
        /// The error of the system call.
        #[source]
        error: io::Error,
    },
}

/// The Prometheus endpoint: `/metrics`, `/healthz`, `/readyz`.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// Options of a [`Server`].
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Host names that are accepted in the `Host` header, besides the host's own and
    /// `localhost`. Addresses are always accepted.
    pub hosts: Vec<String>,
    /// The agent's own counters, to which the server adds.
    pub own: Arc<OwnCounters>,
}

struct Shared {
    manager: MetricsManager,
    exporter: Exporter,
    hosts: Hosts,
    own: Arc<OwnCounters>,
    /// Logs of dropped connections and refused requests.
    dropped: Episode,
    refused: Episode,
}

impl Server {
    /// Listens on an address. Connections wait until [`serve`](Self::serve) is called.
    ///
    /// # Errors
    ///
    /// When the address is in use or not available.
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
        // For port 0 the kernel has assigned a port.
        let address = listener.local_addr().unwrap_or(address);
        Ok(Self { listener, address })
    }

    /// The address on which the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` changes or its sender is dropped, and then until the pending
    /// responses have been read.
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
        let connections = Connections::new(count);
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
            let permit = tokio::select! {
                permit = connections.acquire(|| shared.has_dropped(Dropped::Displaced)) => permit,
                _ = stop.changed() => break,
            };
            let serving = serve(stream, permit, Arc::clone(&shared), stop.clone());
            tokio::spawn(serving);
        }
        drop(self.listener);
        connections.all_closed(count).await;
        Ok(())
    }

    /// Handles an error of accept(2).
    async fn recover(&self, error: io::Error, shared: &Shared) -> Result<(), ServeError> {
        use rustix::io::Errno;
        let errno = error.raw_os_error().map(Errno::from_raw_os_error);
        match errno {
            // Temporary lack of resources.
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                if shared.dropped.begins() {
                    warn!(address = %self.address, "cannot accept a connection: {error}");
                }
                sleep(ACCEPT_DELAY).await;
                Ok(())
            }
            Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP) => {
                Err(ServeError::Accept {
                    address: self.address,
                    error,
                })
            }
            // A network error of this connection: accept(2).
            _ => Ok(()),
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // As the standard library does: connections of an earlier process may be in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The maximum number of connections, depending on `RLIMIT_NOFILE`.
fn connection_limit() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let part = files.map_or(MAX_CONNECTIONS, |files| files / FRACTION_OF_FILES);
    part.clamp(MIN_CONNECTIONS, MAX_CONNECTIONS) as usize
}

/// Serves one connection.
async fn serve(
    stream: TcpStream,
    permit: ConnectionPermit,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let connection = Arc::clone(&permit.connection);
    let io = TokioIo::new(TrackedStream {
        stream,
        connection: Arc::clone(&connection),
    });
    let service = service_fn(|request| {
        let (shared, connection) = (Arc::clone(&shared), Arc::clone(&connection));
        async move { Ok::<_, Infallible>(shared.respond(&request, connection).await) }
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
                    shared.has_refused(Refused::Malformed, "it is not an HTTP request");
                }
                return;
            }
            () = permit.connection.displaced.notified() => return,
            () = sleep(CHECK_INTERVAL) => {
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
    let text = format!("collector is alive, but unhealthy: {unhealthy}\n");
    (StatusCode::SERVICE_UNAVAILABLE, text.into())
}

impl Shared {
    async fn respond(
        &self,
        request: &Request<Incoming>,
        connection: Arc<Connection>,
    ) -> Response<ResponseBody> {
        connection.request_received();
        let (status, text) = self.text(request).await;
        let mut response = Response::new(ResponseBody {
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
        if !self.has_accepted_host(request) {
            let reason = match request.headers().get(HOST) {
                Some(host) => format!("its host is {host:?}"),
                None => "it names no host".to_owned(),
            };
            self.has_refused(Refused::Host, &reason);
            return fixed(
                StatusCode::MISDIRECTED_REQUEST,
                "Unknown host name: use an address, or add the name to prometheus.hosts.\n",
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return fixed(
                StatusCode::METHOD_NOT_ALLOWED,
                "Only GET and HEAD are supported.\n",
            );
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

    /// Ready if each metric of tiers 2 and 3 has a reading, or a reason for its absence, and
    /// the manager is healthy.
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

    /// Whether the host names of a request are accepted.
    fn has_accepted_host(&self, request: &Request<Incoming>) -> bool {
        let mut names = request.headers().get_all(HOST).iter().peekable();
        // HTTP/1.0 has no `Host` header, and no browser uses HTTP/1.0.
        if names.peek().is_none() && request.version() > Version::HTTP_10 {
            return false;
        }
        let mut named = names.map(|name| name.to_str().unwrap_or_default());
        let authority = request.uri().authority();
        named.all(|name| self.hosts.accept(name))
            && authority.is_none_or(|authority| self.hosts.accept(authority.as_str()))
    }

    fn has_dropped(&self, reason: Dropped) {
        self.own.drop_one(reason);
        if reason != Dropped::Idle && self.dropped.begins() {
            warn!(%reason, "closed a connection to the Prometheus endpoint; further ones are only counted");
        }
    }

    fn has_refused(&self, reason: Refused, what: &str) {
        self.own.refuse_one(reason);
        if self.refused.begins() {
            warn!(
                "refused a request to the Prometheus endpoint: {what}; further ones are only counted"
            );
        }
    }
}
