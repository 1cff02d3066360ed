//! Lists of processes of which some may have exited.

use super::{process_key::ProcessHandle, process_table::ProcessTable};

/// Removes the processes that no longer exist, if these may be the majority.
pub(super) fn retain_existing(list: &mut Vec<ProcessHandle>, table: &ProcessTable) {
    if list.len() >= 2 * table.len() + 64 {
        list.retain(|handle| table.contains(handle));
        list.sort_unstable();
        list.dedup();
    }
}

/// Releases the memory of an empty list that was long once.
pub(super) fn shrink_if_empty(list: &mut Vec<ProcessHandle>) {
    const KEPT: usize = 4_096;
    if list.is_empty() && list.capacity() > KEPT {
        *list = Vec::new();
    }
}
