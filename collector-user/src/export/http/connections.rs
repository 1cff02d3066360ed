use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;

/// The minimum lifetime of a connection, so that a well-behaved client gets its response
/// however many others connect.
const MIN_LIFETIME: Duration = Duration::from_millis(100);

/// The open connections, whose number is limited.
///
/// At the limit, a new connection displaces the one that has made no progress for the
/// longest time: that waits for a request, sends one, or reads its response. A
/// well-behaved client makes progress within milliseconds, and so is not displaced.
#[derive(Debug)]
pub(super) struct Connections {
    free: Arc<Semaphore>,
    open: Mutex<Vec<Arc<Connection>>>,
}

/// A permit for one connection, which is released when it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    connections: Arc<Connections>,
    pub(super) connection: Arc<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(count)),
            open: Mutex::default(),
        })
    }

    fn open(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a permit. At the limit, displaces a connection and calls `displaced`.
    pub(super) async fn acquire(self: &Arc<Self>, displaced: impl FnOnce()) -> ConnectionPermit {
        let permit = if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            permit
        } else {
            let mut freed = std::pin::pin!(Arc::clone(&self.free).acquire_owned());
            let permit = tokio::select! {
                biased;
                permit = &mut freed => permit,
                () = tokio::time::sleep(self.time_to_displacement()) => {
                    self.displace_one();
                    displaced();
                    freed.await
                }
            };
            match permit {
                Ok(permit) => permit,
                // The semaphore is never closed.
                Err(_closed) => std::future::pending().await,
            }
        };
        let connection = Arc::new(Connection::new());
        self.open().push(Arc::clone(&connection));
        ConnectionPermit {
            connections: Arc::clone(self),
            connection,
            _permit: permit,
        }
    }

    /// Waits until all of the `count` permits are released.
    pub(super) async fn all_closed(&self, count: usize) {
        let _ = self.free.acquire_many(count as u32).await;
    }

    fn time_to_displacement(&self) -> Duration {
        let longest = self.open().iter().map(|one| one.since().elapsed()).max();
        // If all make progress, the oldest is displaced.
        MIN_LIFETIME.saturating_sub(longest.unwrap_or_default())
    }

    fn displace_one(&self) {
        let open = self.open();
        let stalled = open.iter().min_by_key(|one| one.since());
        let oldest = open.iter().min_by_key(|one| one.opened);
        let stalled = stalled.filter(|one| one.since().elapsed() >= MIN_LIFETIME);
        if let Some(connection) = stalled.or(oldest) {
            connection.displaced.notify_one();
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.retain(|one| !Arc::ptr_eq(one, &self.connection));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_new_connection_displaces_an_idle_one() {
        let connections = Connections::new(2);
        let displaced = AtomicUsize::new(0);
        let count = || {
            displaced.fetch_add(1, Ordering::SeqCst);
        };
        let idle = connections.acquire(count).await;
        let other = connections.acquire(count).await;
        tokio::time::sleep(2 * MIN_LIFETIME).await;
        other.connection.request_received();
        let new = connections.acquire(count);
        let mut new = std::pin::pin!(new);
        tokio::select! {
            _ = &mut new => panic!("no connection has been closed yet"),
            () = idle.connection.displaced.notified() => drop(idle),
        }
        let new = new.await;
        assert_eq!(displaced.load(Ordering::SeqCst), 1);
        assert_eq!(connections.open().len(), 2);
        drop((new, other));
        assert_eq!(connections.open().len(), 0);
        connections.acquire(count).await;
        assert_eq!(displaced.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn the_oldest_is_displaced_if_all_make_progress() {
        let connections = Connections::new(2);
        let (first, second) = (
            connections.acquire(|| {}).await,
            connections.acquire(|| {}).await,
        );
        let busy = async {
            loop {
                first.connection.request_received();
                second.connection.request_received();
                tokio::time::sleep(MIN_LIFETIME / 50).await;
            }
        };
        tokio::select! {
            () = busy => {}
            _ = connections.acquire(|| {}) => panic!("no connection has been closed yet"),
            () = first.connection.displaced.notified() => {}
            () = second.connection.displaced.notified() => panic!("it is not the oldest"),
        }
    }
}
