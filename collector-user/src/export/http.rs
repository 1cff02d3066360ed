use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::{net::TcpListener, sync::watch};

use super::prometheus::{CONTENT_TYPE, Exporter};
use crate::manager::MetricsManager;

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
}

/// The Prometheus endpoint: `/metrics`, `/healthz`, `/readyz`.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

#[derive(Clone)]
struct Shared {
    manager: MetricsManager,
    exporter: Arc<Mutex<Exporter>>,
}

impl Server {
    /// Takes the address, before anything else is started.
    ///
    /// # Errors
    ///
    /// When it is taken, or cannot be had.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let listener = match TcpListener::bind(address).await {
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

    /// Serves until `stop` changes or its sender is gone.
    ///
    /// # Errors
    ///
    /// When connections can no longer be accepted.
    pub async fn serve(
        self,
        manager: MetricsManager,
        exporter: Exporter,
        mut stop: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let shared = Shared {
            manager,
            exporter: Arc::new(Mutex::new(exporter)),
        };
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "collector is alive\n" }))
            .route("/readyz", get(ready))
            .with_state(shared);
        axum::serve(self.listener, router)
            .with_graceful_shutdown(async move {
                let _ = stop.changed().await;
            })
            .await
    }
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let latest = shared.manager.latest();
    let mut exporter = shared
        .exporter
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    (
        [(header::CONTENT_TYPE, CONTENT_TYPE)],
        exporter.encode(&latest),
    )
}

/// Ready is when each metric of tiers 2 and 3 has a reading, or a reason why
/// it has none.
async fn ready(State(shared): State<Shared>) -> (StatusCode, String) {
    let awaited = shared.manager.awaited();
    if awaited.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        let text = format!("waiting for {}\n", awaited.join(", "));
        (StatusCode::SERVICE_UNAVAILABLE, text)
    }
}
