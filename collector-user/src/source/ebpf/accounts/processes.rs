//! The processes that are there.

use std::collections::HashMap;

use super::super::account::{Account, Key};

/// The account of each process.
///
/// Hashed, not sorted: to find one of fifty thousand in a tree touches memory
/// at each level that has left the cache since the last tick, and that is most
/// of what an update costs.
#[derive(Debug, Default)]
pub(super) struct Processes {
    accounts: HashMap<Key, Account>,
    /// When the newest process of each number began.
    newest: HashMap<u32, u64>,
}

impl Processes {
    pub(super) fn len(&self) -> usize {
        self.accounts.len()
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Account)> {
        self.accounts.iter()
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Account> {
        self.accounts.get_mut(key)
    }

    pub(super) fn contains_key(&self, key: &Key) -> bool {
        self.accounts.contains_key(key)
    }

    /// The account of a process; made by `make` if it has none.
    pub(super) fn get_or_insert_with(
        &mut self,
        key: Key,
        make: impl FnOnce() -> Account,
    ) -> &mut Account {
        let newest = &mut self.newest;
        self.accounts.entry(key).or_insert_with(|| {
            let start_ns = newest.entry(key.pid).or_default();
            *start_ns = key.start_ns.max(*start_ns);
            make()
        })
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Account> {
        let account = self.accounts.remove(key)?;
        if self.newest.get(&key.pid) == Some(&key.start_ns) {
            self.newest.remove(&key.pid);
        }
        // Many that came and went leave no memory behind.
        if self.accounts.capacity() > 8 * self.accounts.len().max(256) {
            self.accounts.shrink_to(2 * self.accounts.len());
            self.newest.shrink_to(2 * self.newest.len());
        }
        Some(account)
    }

    /// The process that has a number now.
    pub(super) fn newest(&self, pid: u32) -> Option<&Account> {
        let start_ns = *self.newest.get(&pid)?;
        self.accounts.get(&Key { pid, start_ns })
    }
}
