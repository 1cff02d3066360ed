use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;

/// How long a connection has its place at least, so that an honest client is
/// answered however many others come after it.
const AT_LEAST: Duration = Duration::from_millis(100);

/// The places for connections, of which there is a fixed number.
///
/// When all are taken, a new connection gets the place of the one that has been
/// at the same thing for the longest time: waiting for a request, sending one,
/// or reading its answer. An honest client is done with each within
/// milliseconds, so it is not that one.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Mutex<Vec<Arc<Connection>>>,
}

/// A place, given up when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    pub(super) connection: Arc<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(count)),
            taken: Mutex::default(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place. If there is none, somebody has to give up his, and
    /// `displaced` is called.
    pub(super) async fn take(self: &Arc<Self>, displaced: impl FnOnce()) -> Place {
        let permit = if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            permit
        } else {
            let mut freed = std::pin::pin!(Arc::clone(&self.free).acquire_owned());
            let permit = tokio::select! {
                biased;
                permit = &mut freed => permit,
                () = tokio::time::sleep(self.until_one_may_go()) => {
                    self.displace_one();
                    displaced();
                    freed.await
                }
            };
            match permit {
                Ok(permit) => permit,
                // Nobody closes the semaphore.
                Err(_closed) => std::future::pending().await,
            }
        };
        let connection = Arc::new(Connection::new());
        self.taken().push(Arc::clone(&connection));
        Place {
            places: Arc::clone(self),
            connection,
            _permit: permit,
        }
    }

    /// Waits until none of the `count` places is taken.
    pub(super) async fn all_free(&self, count: usize) {
        let _ = self.free.acquire_many(count as u32).await;
    }

    fn until_one_may_go(&self) -> Duration {
        let longest = self.taken().iter().map(|one| one.since().elapsed()).max();
        // If all are at work, one goes all the same.
        AT_LEAST.saturating_sub(longest.unwrap_or_default())
    }

    fn displace_one(&self) {
        let taken = self.taken();
        let idlest = taken.iter().min_by_key(|one| one.since());
        let oldest = taken.iter().min_by_key(|one| one.opened);
        let idlest = idlest.filter(|one| one.since().elapsed() >= AT_LEAST);
        if let Some(connection) = idlest.or(oldest) {
            connection.displaced.notify_one();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.retain(|one| !Arc::ptr_eq(one, &self.connection));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_new_connection_gets_the_place_of_the_one_that_does_nothing() {
        let places = Places::new(2);
        let displaced = AtomicUsize::new(0);
        let count = || {
            displaced.fetch_add(1, Ordering::SeqCst);
        };
        let idle = places.take(count).await;
        let other = places.take(count).await;
        tokio::time::sleep(2 * AT_LEAST).await;
        other.connection.asked();
        let new = places.take(count);
        let mut new = std::pin::pin!(new);
        tokio::select! {
            _ = &mut new => panic!("there is no place yet"),
            () = idle.connection.displaced.notified() => drop(idle),
        }
        let new = new.await;
        assert_eq!(displaced.load(Ordering::SeqCst), 1);
        assert_eq!(places.taken().len(), 2);
        drop((new, other));
        assert_eq!(places.taken().len(), 0);
        places.take(count).await;
        assert_eq!(displaced.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn where_all_are_at_work_the_oldest_gives_up_its_place() {
        let places = Places::new(2);
        let (first, second) = (places.take(|| {}).await, places.take(|| {}).await);
        let busy = async {
            loop {
                first.connection.asked();
                second.connection.asked();
                tokio::time::sleep(AT_LEAST / 50).await;
            }
        };
        tokio::select! {
            () = busy => {}
            _ = places.take(|| {}) => panic!("nobody has gone yet"),
            () = first.connection.displaced.notified() => {}
            () = second.connection.displaced.notified() => panic!("it came later"),
        }
    }
}
