//! The processes that are there.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use slab::Slab;

use super::super::account::{Account, Key, Located};

/// The account of each process.
///
/// Hashed, not sorted: to find one of fifty thousand in a tree touches memory
/// at each level that has left the cache since the last tick, and that is most
/// of what an update costs. The table has places only, of 5 bytes: it is up to
/// half empty, and the accounts are not.
#[derive(Debug, Default)]
pub(super) struct Processes {
    accounts: Slab<Account>,
    /// Where in `accounts` the processes are, by their numbers.
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Processes {
    pub(super) fn len(&self) -> usize {
        self.accounts.len()
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().map(|(_place, account)| account)
    }

    fn place(&self, key: &Key) -> Option<usize> {
        let is_it = |&place: &u32| {
            let account = self.accounts.get(place as usize);
            account.is_some_and(|account| account.key() == *key)
        };
        let place = self.places.find(self.hasher.hash_one(key.pid), is_it)?;
        Some(*place as usize)
    }

    /// The account of a process that was found before, looked for where it
    /// was.
    pub(super) fn at(&self, located: &Located) -> Option<&Account> {
        let key = located.key();
        match self.accounts.get(located.place as usize) {
            Some(account) if account.key() == key => Some(account),
            _ => self.accounts.get(self.place(&key)?),
        }
    }

    /// As [`at`](Self::at).
    pub(super) fn at_mut(&mut self, located: &Located) -> Option<&mut Account> {
        let key = located.key();
        let is_there = |account: &Account| account.key() == key;
        let mut place = located.place as usize;
        if !self.accounts.get(place).is_some_and(is_there) {
            place = self.place(&key)?;
        }
        self.accounts.get_mut(place)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Account> {
        let place = self.place(key)?;
        self.accounts.get_mut(place)
    }

    pub(super) fn contains(&self, located: &Located) -> bool {
        self.at(located).is_some()
    }

    /// The account of a process, which is located from now on; made by `make`
    /// if it has none.
    pub(super) fn get_or_insert_with(
        &mut self,
        located: &mut Located,
        make: impl FnOnce() -> Account,
    ) -> &mut Account {
        let key = located.key();
        let is_there = |account: &Account| account.key() == key;
        let mut place = located.place as usize;
        if !self.accounts.get(place).is_some_and(is_there) {
            place = self.place(&key).unwrap_or_else(|| self.insert(make()));
            located.place = place as u32;
        }
        &mut self.accounts[place]
    }

    fn insert(&mut self, account: Account) -> usize {
        let pid = account.key().pid;
        let entry = self.accounts.vacant_entry();
        let place = entry.key();
        entry.insert(account).located.place = place as u32;
        self.index(place, pid);
        place
    }

    fn index(&mut self, place: usize, pid: u32) {
        let Self {
            accounts,
            places,
            hasher,
        } = self;
        let hash_of = |&place: &u32| {
            let account = accounts.get(place as usize);
            hasher.hash_one(account.map_or(0, |account| account.key().pid))
        };
        places.insert_unique(hasher.hash_one(pid), place as u32, hash_of);
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Account> {
        let place = self.place(key)?;
        let hash = self.hasher.hash_one(key.pid);
        if let Ok(entry) = self
            .places
            .find_entry(hash, |&found| found as usize == place)
        {
            entry.remove();
        }
        let account = self.accounts.try_remove(place)?;
        if self.accounts.capacity() > 4 * self.accounts.len().max(128) {
            self.shrink();
        }
        Some(account)
    }

    /// Many that came and went leave no memory behind.
    fn shrink(&mut self) {
        self.accounts.compact(|account, _from, to| {
            account.located.place = to as u32;
            true
        });
        self.accounts.shrink_to_fit();
        self.places = HashTable::with_capacity(2 * self.accounts.len());
        let keys = self.accounts.iter();
        let keys: Vec<(usize, u32)> = keys.map(|(place, of)| (place, of.key().pid)).collect();
        for (place, pid) in keys {
            self.index(place, pid);
        }
    }

    /// The process that has a number now.
    pub(super) fn newest(&self, pid: u32) -> Option<&Account> {
        let places = self.places.iter_hash(self.hasher.hash_one(pid));
        places
            .filter_map(|&place| self.accounts.get(place as usize))
            .filter(|account| account.key().pid == pid)
            .max_by_key(|account| account.key().start_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, Key, Located, Processes};

    fn key(pid: u32, start_ns: u64) -> Key {
        Key { pid, start_ns }
    }

    fn insert(processes: &mut Processes, key: Key) -> Located {
        let mut located = Located::nowhere(key);
        processes.get_or_insert_with(&mut located, || Account::first_seen_in(0, key));
        located
    }

    #[test]
    fn the_newest_of_a_number_is_found_also_when_an_older_one_is_still_there() {
        let mut processes = Processes::default();
        for start_ns in [7, 9, 8] {
            insert(&mut processes, key(1, start_ns));
        }
        let newest = |processes: &Processes| processes.newest(1).map(|of| of.key().start_ns);
        assert_eq!(newest(&processes), Some(9));
        assert!(processes.remove(&key(1, 9)).is_some());
        assert_eq!(newest(&processes), Some(8));
        assert!(processes.remove(&key(1, 9)).is_none());
        assert!(processes.newest(2).is_none());
    }

    #[test]
    fn those_that_stay_are_found_after_many_have_gone() {
        let mut processes = Processes::default();
        let located: Vec<Located> = (0..20_000)
            .map(|pid| insert(&mut processes, key(pid, 5)))
            .collect();
        for pid in (0..20_000).filter(|pid| pid % 1_000 != 999) {
            assert!(processes.remove(&key(pid, 5)).is_some());
        }
        assert_eq!(processes.len(), 20);
        assert!(processes.accounts.capacity() <= 512);
        assert!(processes.places.capacity() <= 2_048);
        // Also by where they were before the others went.
        for mut located in located {
            let key = located.key();
            let is_there = key.pid % 1_000 == 999;
            assert_eq!(processes.contains(&located), is_there, "{key:?}");
            assert_eq!(processes.contains(&Located::nowhere(key)), is_there);
            let found = processes.at_mut(&located).map(|account| account.key());
            assert_eq!(found, is_there.then_some(key));
            if is_there {
                let place = processes.at(&located).map(|account| account.located.place);
                let account = processes.get_or_insert_with(&mut located, || unreachable!());
                assert_eq!(account.key(), key);
                assert_eq!(Some(located.place), place);
            }
        }
        assert_eq!(processes.len(), 20);
    }
}
