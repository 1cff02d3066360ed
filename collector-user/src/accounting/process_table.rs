use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use slab::Slab;

use super::{ProcessKey, process_account::ProcessAccount, process_key::ProcessHandle};

/// The account of each process.
///
/// A hash table and not a tree: a lookup among fifty thousand in a tree has a
/// cache miss on each level, and that would be most of the cost of an update.
/// The hash table has indices only, of 5 bytes each, because up to half of it is
/// empty; the accounts are in a slab.
#[derive(Debug, Default)]
pub(super) struct ProcessTable {
    accounts: Slab<ProcessAccount>,
    /// Indices into `accounts`, hashed by PID.
    indices: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl ProcessTable {
    pub(super) fn len(&self) -> usize {
        self.accounts.len()
    }

    /// All processes, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ProcessAccount> {
        self.accounts.iter().map(|(_index, account)| account)
    }

    fn index_of(&self, key: &ProcessKey) -> Option<usize> {
        let is_it = |&index: &u32| {
            let account = self.accounts.get(index as usize);
            account.is_some_and(|account| account.key() == *key)
        };
        let index = self.indices.find(self.hasher.hash_one(key.pid), is_it)?;
        Some(*index as usize)
    }

    /// The account of a process: at the index of the handle if it is still
    /// there.
    pub(super) fn at(&self, handle: &ProcessHandle) -> Option<&ProcessAccount> {
        let key = handle.key();
        match self.accounts.get(handle.index as usize) {
            Some(account) if account.key() == key => Some(account),
            _ => self.accounts.get(self.index_of(&key)?),
        }
    }

    /// As [`at`](Self::at).
    pub(super) fn at_mut(&mut self, handle: &ProcessHandle) -> Option<&mut ProcessAccount> {
        let key = handle.key();
        let is_there = |account: &ProcessAccount| account.key() == key;
        let mut index = handle.index as usize;
        if !self.accounts.get(index).is_some_and(is_there) {
            index = self.index_of(&key)?;
        }
        self.accounts.get_mut(index)
    }

    pub(super) fn get(&self, key: &ProcessKey) -> Option<&ProcessAccount> {
        self.accounts.get(self.index_of(key)?)
    }

    pub(super) fn get_mut(&mut self, key: &ProcessKey) -> Option<&mut ProcessAccount> {
        let index = self.index_of(key)?;
        self.accounts.get_mut(index)
    }

    pub(super) fn contains(&self, handle: &ProcessHandle) -> bool {
        self.at(handle).is_some()
    }

    /// The account of a process, created by `make` if it has none; updates the
    /// index of the handle.
    pub(super) fn get_or_insert_with(
        &mut self,
        handle: &mut ProcessHandle,
        make: impl FnOnce() -> ProcessAccount,
    ) -> &mut ProcessAccount {
        let key = handle.key();
        let is_there = |account: &ProcessAccount| account.key() == key;
        let mut index = handle.index as usize;
        if !self.accounts.get(index).is_some_and(is_there) {
            index = self.index_of(&key).unwrap_or_else(|| self.insert(make()));
            handle.index = index as u32;
        }
        &mut self.accounts[index]
    }

    fn insert(&mut self, account: ProcessAccount) -> usize {
        let pid = account.key().pid;
        let entry = self.accounts.vacant_entry();
        let index = entry.key();
        entry.insert(account).handle.index = index as u32;
        self.insert_index(index, pid);
        index
    }

    fn insert_index(&mut self, index: usize, pid: u32) {
        let Self {
            accounts,
            indices,
            hasher,
        } = self;
        let hash_of = |&index: &u32| {
            let account = accounts.get(index as usize);
            hasher.hash_one(account.map_or(0, |account| account.key().pid))
        };
        indices.insert_unique(hasher.hash_one(pid), index as u32, hash_of);
    }

    pub(super) fn remove(&mut self, key: &ProcessKey) -> Option<ProcessAccount> {
        let index = self.index_of(key)?;
        let hash = self.hasher.hash_one(key.pid);
        if let Ok(entry) = self
            .indices
            .find_entry(hash, |&found| found as usize == index)
        {
            entry.remove();
        }
        let account = self.accounts.try_remove(index)?;
        if self.accounts.capacity() > 4 * self.accounts.len().max(128) {
            self.shrink();
        }
        Some(account)
    }

    /// Releases the memory of many removed accounts.
    fn shrink(&mut self) {
        self.accounts.compact(|account, _from, to| {
            account.handle.index = to as u32;
            true
        });
        self.accounts.shrink_to_fit();
        self.indices = HashTable::with_capacity(2 * self.accounts.len());
        let keys = self.accounts.iter();
        let keys: Vec<(usize, u32)> = keys.map(|(index, of)| (index, of.key().pid)).collect();
        for (index, pid) in keys {
            self.insert_index(index, pid);
        }
    }

    /// The process that has a PID now: of several the one that started last.
    pub(super) fn newest(&self, pid: u32) -> Option<&ProcessAccount> {
        let indices = self.indices.iter_hash(self.hasher.hash_one(pid));
        indices
            .filter_map(|&index| self.accounts.get(index as usize))
            .filter(|account| account.key().pid == pid)
            .max_by_key(|account| account.key().start_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::{ProcessAccount, ProcessHandle, ProcessKey, ProcessTable};

    fn key(pid: u32, start_ns: u64) -> ProcessKey {
        ProcessKey { pid, start_ns }
    }

    fn insert(processes: &mut ProcessTable, key: ProcessKey) -> ProcessHandle {
        let mut handle = ProcessHandle::unresolved(key);
        processes.get_or_insert_with(&mut handle, || ProcessAccount::new(key, 0));
        handle
    }

    #[test]
    fn the_newest_of_a_number_is_found_also_when_an_older_one_is_still_there() {
        let mut processes = ProcessTable::default();
        for start_ns in [7, 9, 8] {
            insert(&mut processes, key(1, start_ns));
        }
        let newest = |processes: &ProcessTable| processes.newest(1).map(|of| of.key().start_ns);
        assert_eq!(newest(&processes), Some(9));
        assert!(processes.remove(&key(1, 9)).is_some());
        assert_eq!(newest(&processes), Some(8));
        assert!(processes.remove(&key(1, 9)).is_none());
        assert!(processes.newest(2).is_none());
    }

    #[test]
    fn those_that_stay_are_found_after_many_have_gone() {
        let mut processes = ProcessTable::default();
        let handle: Vec<ProcessHandle> = (0..20_000)
            .map(|pid| insert(&mut processes, key(pid, 5)))
            .collect();
        for pid in (0..20_000).filter(|pid| pid % 1_000 != 999) {
            assert!(processes.remove(&key(pid, 5)).is_some());
        }
        assert_eq!(processes.len(), 20);
        assert!(processes.accounts.capacity() <= 512);
        assert!(processes.indices.capacity() <= 2_048);
        // Also by where they were before the others went.
        for mut handle in handle {
            let key = handle.key();
            let is_there = key.pid % 1_000 == 999;
            assert_eq!(processes.contains(&handle), is_there, "{key:?}");
            assert_eq!(
                processes.contains(&ProcessHandle::unresolved(key)),
                is_there
            );
            let found = processes.at_mut(&handle).map(|account| account.key());
            assert_eq!(found, is_there.then_some(key));
            if is_there {
                let index = processes.at(&handle).map(|account| account.handle.index);
                let account = processes.get_or_insert_with(&mut handle, || unreachable!());
                assert_eq!(account.key(), key);
                assert_eq!(Some(handle.index), index);
            }
        }
        assert_eq!(processes.len(), 20);
    }
}
