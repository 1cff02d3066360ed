use std::ptr;

use aya::maps::{HashMap, MapData, MapError, Queue};
use collector_ebpf::{THREAD_FREE, Thread};

use super::{CpuRecords, DirtyBytes, MappedArray};

/// The thread records (`THREADS`), the slots that are free (`FREE_SLOTS`) or
/// changed (`DIRTY`), and the slot of each task (`TASK_TO_SLOT`).
pub(crate) struct ThreadRecords {
    pub(in crate::source::bpf) records: MappedArray<Thread>,
    pub(in crate::source::bpf) dirty: DirtyBytes,
    pub(in crate::source::bpf) task_to_slot: HashMap<MapData, u64, u32>,
    pub(in crate::source::bpf) free_slots: Queue<MapData, u32>,
}

impl ThreadRecords {
    /// The number of slots.
    pub(crate) const fn len(&self) -> u32 {
        self.records.len()
    }

    /// A copy of a record.
    pub(crate) fn read(&self, slot: u32) -> Option<Thread> {
        self.records.read(slot)
    }

    /// The slot of the task with this address. A system call.
    pub(crate) fn slot_of(&self, task: u64) -> Option<u32> {
        self.task_to_slot.get(&task, 0).ok()
    }

    /// Adds the slots whose records have changed since the last call to `slots`,
    /// and those of the last call again.
    pub(crate) fn drain_dirty(&mut self, cpus: &CpuRecords, slots: &mut Vec<u32>) {
        self.dirty.drain(cpus, slots);
    }

    /// Frees the record of an exited thread.
    pub(crate) fn free(&mut self, slot: u32) -> Result<(), MapError> {
        if let Some(record) = self.records.element(slot) {
            // Until it is assigned again, it would show the exited thread.
            // SAFETY: the field is within the mapping and aligned. The thread
            // has exited, so the kernel does not write it.
            unsafe { ptr::write_volatile(&raw mut (*record).state, THREAD_FREE) };
        }
        self.free_slots.push(slot, 0)
    }

    /// Makes a record one that no program finds by the task that had it.
    pub(crate) fn unlink(&mut self, slot: u32) {
        let Some(task) = self.take_task(slot) else {
            return;
        };
        // Another task may have this address by now.
        if self.slot_of(task) == Some(slot) {
            let _already_removed = self.task_to_slot.remove(&task);
        }
    }

    /// Clears the address of the task in a record, and returns it.
    fn take_task(&self, slot: u32) -> Option<u64> {
        let record = self.records.element(slot)?;
        // SAFETY: the field is within the mapping and aligned. The programs write
        // it only before the record can be found, and after the last switch-out
        // of its task.
        unsafe {
            let address = &raw mut (*record).task;
            let task = ptr::read_volatile(address);
            ptr::write_volatile(address, 0);
            Some(task).filter(|&task| task != 0)
        }
    }
}
