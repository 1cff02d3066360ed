use std::{
    ptr,
    sync::atomic::{Ordering, fence},
};

use collector_ebpf::DIRTY_PAGE;

use super::{CpuRecords, MappedArray};

/// The map `DIRTY`: a byte per thread record, which is set when the record
/// changes.
#[derive(Debug)]
pub(crate) struct DirtyBytes {
    map: MappedArray<[u8; DIRTY_PAGE]>,
    /// The number of drains.
    epoch: u32,
    /// The slots that the last drain found: the next one returns them again.
    last: Vec<u32>,
}

impl DirtyBytes {
    pub(in crate::source::bpf) const fn new(map: MappedArray<[u8; DIRTY_PAGE]>) -> Self {
        Self {
            map,
            epoch: 0,
            last: Vec::new(),
        }
    }

    /// Adds the dirty slots to `slots`, and clears them.
    ///
    /// A record is set dirty once per epoch, so the epoch is incremented after
    /// the bytes are cleared: what is set dirty in the next epoch changed after
    /// that. A CPU may not have seen the new epoch for some nanoseconds, so the
    /// slots of one drain are returned by the next one too.
    pub(super) fn drain(&mut self, cpus: &CpuRecords, slots: &mut Vec<u32>) {
        slots.append(&mut self.last);
        self.clear_into_last();
        self.epoch = self.epoch.wrapping_add(1);
        cpus.set_drain_epoch(self.epoch);
        slots.extend_from_slice(&self.last);
    }

    /// Adds the index of each byte that is set to `last`, and clears it.
    ///
    /// What the kernel wrote before it set a byte is visible afterwards where
    /// CPUs see the writes of others in order. On arm64 it may not be, for some
    /// nanoseconds: another reason to return a slot twice.
    fn clear_into_last(&mut self) {
        let words = self.map.len() as usize * DIRTY_PAGE / 8;
        let Some(base) = self.map.element(0) else {
            return;
        };
        let base: *mut u64 = base.cast();
        for word in 0..words {
            // SAFETY: the word is within the mapping, whose elements are
            // adjacent because their size is a multiple of 8; and aligned.
            let address = unsafe { base.add(word) };
            // SAFETY: as above.
            if unsafe { ptr::read_volatile(address) } == 0 {
                continue;
            }
            let bytes: *mut u8 = address.cast();
            for byte in 0..8 {
                // SAFETY: the byte is within the word.
                unsafe {
                    let address = bytes.add(byte);
                    if ptr::read_volatile(address) != 0 {
                        ptr::write_volatile(address, 0);
                        self.last.push((word * 8 + byte) as u32);
                    }
                }
            }
        }
        fence(Ordering::SeqCst);
    }
}
