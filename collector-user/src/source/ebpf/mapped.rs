//! BPF arrays that are mapped into this process, and read without a system
//! call.

use std::{
    io,
    marker::PhantomData,
    mem::MaybeUninit,
    os::fd::{AsFd as _, AsRawFd as _},
    ptr,
    sync::atomic::{Ordering, fence},
};

use aya::maps::MapData;
use collector_ebpf::{Cpu, CpuCounters, CpuReading, THREAD_FREE, Thread};
use memmap2::{MmapOptions, MmapRaw};

/// A record that may be read while the kernel writes to it: it holds integers
/// only, so every pattern of bits is a value of it.
///
/// # Safety
///
/// The type is `repr(C)`, has no padding, is as long as a number of words, and
/// each of its parts may have any value.
pub(crate) unsafe trait Record: Copy {
    /// How many words of 8 bytes it has.
    const WORDS: usize = {
        assert!(size_of::<Self>().is_multiple_of(8) && align_of::<Self>() == 8);
        size_of::<Self>() / 8
    };
}

/// Copies a record word by word: so each field is from before or from after
/// whatever the kernel writes meanwhile, and none from both.
///
/// # Safety
///
/// `from` is valid for reads and aligned; the kernel may write to it.
unsafe fn read_words<T: Record>(from: *const T) -> T {
    let mut record = MaybeUninit::<T>::uninit();
    let (from, to) = (from.cast::<u64>(), record.as_mut_ptr().cast::<u64>());
    for word in 0..T::WORDS {
        // SAFETY: the word is within the record, by the caller's promise and by
        // the size of the type.
        unsafe { to.add(word).write(from.add(word).read_volatile()) };
    }
    // SAFETY: all words were written, the type has no padding, and any bits are
    // a value of it.
    unsafe { record.assume_init() }
}

// SAFETY: integers only, and no padding.
unsafe impl Record for Thread {}
// SAFETY: integers only, and no padding.
unsafe impl Record for Cpu {}
// SAFETY: integers only, and no padding.
unsafe impl Record for CpuCounters {}

/// A `BPF_MAP_TYPE_ARRAY` with `BPF_F_MMAPABLE`.
///
/// # Minimum kernel version
///
/// 5.5: <https://git.kernel.org/torvalds/c/fc9702273e2e>
#[derive(Debug)]
pub(crate) struct MappedArray<T> {
    memory: MmapRaw,
    length: u32,
    /// The map lives as long as its memory is mapped; the descriptor is kept
    /// so that its size can be told.
    _map: MapData,
    record: PhantomData<T>,
}

impl<T> MappedArray<T> {
    /// The distance between two elements: the kernel rounds it up to 8 bytes.
    const STRIDE: usize = size_of::<T>().next_multiple_of(8);

    /// Maps an array of `length` elements.
    pub(crate) fn new(map: MapData, length: u32) -> io::Result<Self> {
        let memory = MmapOptions::new()
            .len(Self::STRIDE * length as usize)
            .map_raw(map.fd().as_fd().as_raw_fd())?;
        Ok(Self {
            memory,
            length,
            _map: map,
            record: PhantomData,
        })
    }

    /// How many elements there are.
    pub(crate) const fn len(&self) -> u32 {
        self.length
    }

    fn element(&self, index: u32) -> Option<*mut T> {
        // SAFETY: the element is within the mapping.
        (index < self.length).then(|| unsafe {
            self.memory
                .as_mut_ptr()
                .add(index as usize * Self::STRIDE)
                .cast()
        })
    }
}

impl<T: Record> MappedArray<T> {
    /// A copy of an element as it is now. The kernel may be writing to it, so
    /// its fields may be from before and from after that; each one is whole.
    pub(crate) fn read(&self, index: u32) -> Option<T> {
        let element = self.element(index)?;
        // SAFETY: the element is within the mapping and aligned, since the
        // mapping begins at a page and the stride is a multiple of 8.
        Some(unsafe { read_words(element) })
    }
}

impl<T: Record> MappedArray<T> {
    /// Brings an element into the cache.
    pub(crate) fn fetch(&self, index: u32) {
        if let Some(element) = self.element(index) {
            let words: *mut u64 = element.cast();
            for word in (0..size_of::<T>() / 8).step_by(8) {
                // SAFETY: as in `read`: the word is within the element.
                let _word = unsafe { ptr::read_volatile(words.add(word)) };
            }
        }
    }
}

impl MappedArray<Cpu> {
    /// The counters of a CPU, without its histograms, which are a hundred
    /// times as long.
    ///
    /// `None` of one that has switched nothing yet, which CPUs that are possible
    /// and were never there do not: all zeros, they would tell that the thread
    /// of the first record has it, since the host booted.
    pub(crate) fn counters(&self, index: u32) -> Option<CpuCounters> {
        let element = self.element(index)?;
        // SAFETY: as in `read`: the part is within the element.
        let counters = unsafe { read_words(&raw const (*element).counters) };
        (counters.since_ns != 0).then_some(counters)
    }

    /// Counts one more drain: from now on a change is marked again.
    pub(crate) fn count_drain(&self, drains: u32) {
        for index in 0..self.length {
            if let Some(element) = self.element(index) {
                // SAFETY: the element is within the mapping and aligned, and
                // the kernel does not write to this field.
                unsafe { ptr::write_volatile(&raw mut (*element).counters.drain, drains) };
            }
        }
        fence(Ordering::SeqCst);
    }
}

impl MappedArray<CpuReading> {
    /// Whether a CPU was ever there, so that its element holds a reading.
    pub(crate) fn is_found(&self, index: u32) -> bool {
        self.element(index).is_some_and(|element| {
            // SAFETY: as in `read`: the part is within the element.
            let queue = unsafe { ptr::read_volatile(&raw const (*element).queue) };
            queue != 0
        })
    }
}

impl MappedArray<Thread> {
    /// Marks a record as free, before it is given away again: until then it
    /// would show the thread that had it.
    pub(crate) fn mark_free(&self, index: u32) {
        if let Some(element) = self.element(index) {
            // SAFETY: the element is within the mapping and aligned. Its
            // thread has ended, so the kernel does not write to it.
            unsafe { ptr::write_volatile(&raw mut (*element).state, THREAD_FREE) };
        }
    }

    /// Makes a record one that no program finds by the task that had it, and
    /// returns the address of that task.
    pub(crate) fn detach(&self, index: u32) -> Option<u64> {
        let element = self.element(index)?;
        // SAFETY: the element is within the mapping and aligned. The programs
        // write the address before the record can be found and after the last
        // switch of its task only.
        unsafe {
            let place = &raw mut (*element).task;
            let task = ptr::read_volatile(place);
            ptr::write_volatile(place, 0);
            Some(task).filter(|&task| task != 0)
        }
    }
}

impl<const N: usize> MappedArray<[u8; N]> {
    /// Adds the position of each byte that is set to `found`, and clears it.
    ///
    /// What the kernel wrote before it set a byte is visible afterwards, where
    /// CPUs see each other's writes in order. On arm64 they may not, for some
    /// nanoseconds: who drains reads what it has found once more by the next.
    pub(crate) fn drain_into(&self, found: &mut Vec<u32>) {
        let words = self.length as usize * N / 8;
        let base: *mut u64 = self.memory.as_mut_ptr().cast();
        for word in 0..words {
            // SAFETY: the word is within the mapping, and aligned.
            let place = unsafe { base.add(word) };
            // SAFETY: as above.
            if unsafe { ptr::read_volatile(place) } == 0 {
                continue;
            }
            let bytes: *mut u8 = place.cast();
            for byte in 0..8 {
                // SAFETY: the byte is within the word.
                unsafe {
                    let place = bytes.add(byte);
                    if ptr::read_volatile(place) != 0 {
                        ptr::write_volatile(place, 0);
                        found.push((word * 8 + byte) as u32);
                    }
                }
            }
        }
        fence(Ordering::SeqCst);
    }
}
