use collector_ebpf::{TaskEntry, Thread};
use slab::Slab;

use super::{ProcessKey, thread_account::ThreadAccount};

/// The accounts of the threads that have a record, by the index (slot) of the
/// record in `THREADS`.
///
/// Slots are assigned in turn, so the assigned ones are spread over the whole
/// map; the accounts take memory for the threads that exist only.
#[derive(Debug)]
pub(super) struct ThreadTable {
    /// For each slot the index in `accounts`, or [`UNASSIGNED`].
    indices: Vec<u32>,
    accounts: Slab<ThreadAccount>,
}

const UNASSIGNED: u32 = u32::MAX;

impl ThreadTable {
    pub(super) fn new(slots: u32) -> Self {
        Self {
            indices: vec![UNASSIGNED; slots as usize],
            accounts: Slab::new(),
        }
    }

    pub(super) fn get(&self, slot: u32) -> Option<&ThreadAccount> {
        let index = *self.indices.get(slot as usize)?;
        self.accounts.get(index as usize)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut ThreadAccount> {
        let index = *self.indices.get(slot as usize)?;
        self.accounts.get_mut(index as usize)
    }

    /// The account for a slot, a new one if there is none; `None` if the map has
    /// no such slot.
    pub(super) fn get_or_insert(&mut self, slot: u32) -> Option<&mut ThreadAccount> {
        let index = self.indices.get_mut(slot as usize)?;
        if *index == UNASSIGNED {
            *index = self.accounts.insert(ThreadAccount::default()) as u32;
        }
        self.accounts.get_mut(*index as usize)
    }

    /// The account for a record that was read, and whether its process does not
    /// count the thread yet. `None` if the thread was found to have exited.
    pub(super) fn account_of(
        &mut self,
        slot: u32,
        record: &Thread,
        pass: u32,
    ) -> Option<(&mut ThreadAccount, bool)> {
        let process = ProcessKey {
            pid: record.tgid,
            start_ns: record.process_start_ns,
        };
        let account = self.get_or_insert(slot)?;
        let is_other = account.process.key() != process;
        let is_new = is_other || std::mem::take(&mut account.is_late);
        if is_new && account.is_dead {
            return None;
        }
        if is_other {
            *account = ThreadAccount::new(process, pass);
        }
        Some((account, is_new))
    }

    /// A task pass assigned the record of a thread that had none, although it
    /// was created after the programs were attached. Its CPU time up to then is
    /// in `unattributed_ns` of the CPUs, and is not counted again.
    pub(super) fn insert_late(&mut self, entry: &TaskEntry, pass: u32) {
        let process = ProcessKey {
            pid: entry.tgid,
            start_ns: entry.process_start_ns,
        };
        if let Some(account) = self.get_or_insert(entry.slot)
            && account.process.key() != process
        {
            *account = ThreadAccount::late(process, pass, entry.cpu_ns_when_found);
        }
    }

    /// Removes the account for a slot.
    pub(super) fn remove(&mut self, slot: u32) -> Option<ThreadAccount> {
        let index = self.indices.get_mut(slot as usize)?;
        let account = self.accounts.try_remove(*index as usize)?;
        *index = UNASSIGNED;
        if self.accounts.capacity() > 4 * self.accounts.len().max(128) {
            self.shrink();
        }
        Some(account)
    }

    /// Releases the memory of many removed accounts.
    fn shrink(&mut self) {
        let mut accounts = Slab::with_capacity(2 * self.accounts.len());
        for index in &mut self.indices {
            if let Some(kept) = self.accounts.try_remove(*index as usize) {
                *index = accounts.insert(kept) as u32;
            }
        }
        self.accounts = accounts;
    }

    /// The slots whose accounts satisfy a condition.
    pub(super) fn slots_where(&self, holds: impl Fn(&ThreadAccount) -> bool) -> Vec<u32> {
        let slots = (0..).zip(&self.indices);
        slots
            .filter(|&(_slot, &index)| self.accounts.get(index as usize).is_some_and(&holds))
            .map(|(slot, _index)| slot)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::ThreadTable;

    #[test]
    fn those_that_stay_are_found_after_many_have_gone() {
        let mut threads = ThreadTable::new(10_000);
        for slot in 0..10_000 {
            threads.get_or_insert(slot).expect("there is one").last_pass = slot;
        }
        assert!(threads.get_or_insert(10_000).is_none());
        for slot in (0..10_000).filter(|slot| slot % 1_000 != 7) {
            assert_eq!(threads.remove(slot).map(|of| of.last_pass), Some(slot));
        }
        assert!(threads.accounts.capacity() <= 512);
        assert!(threads.remove(8).is_none());
        let left: Vec<u32> = (0..10).map(|number| 1_000 * number + 7).collect();
        assert_eq!(threads.slots_where(|_account| true), left);
        for slot in left {
            assert_eq!(threads.get(slot).map(|of| of.last_pass), Some(slot));
        }
    }
}
