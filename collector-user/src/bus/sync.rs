//! The locks, which loom replaces by its own to try every order of events.

#[cfg(loom)]
pub(super) use loom::sync::{Mutex, MutexGuard};
use std::sync::PoisonError;
#[cfg(not(loom))]
pub(super) use std::sync::{Mutex, MutexGuard};

/// Locks, also after a panic elsewhere: nothing here is left half-changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
