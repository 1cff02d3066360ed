use std::{
    io,
    marker::PhantomData,
    mem::MaybeUninit,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{Pod, maps::MapData};
use memmap2::{MmapOptions, MmapRaw};

/// A `BPF_MAP_TYPE_ARRAY` with `BPF_F_MMAPABLE`, mapped into this process: it is
/// read without a system call.
///
/// # Minimum kernel version
///
/// 5.5: <https://git.kernel.org/torvalds/c/fc9702273e2e>
#[derive(Debug)]
pub(crate) struct MappedArray<T> {
    memory: MmapRaw,
    length: u32,
    /// The mapping alone would keep the map alive; with the descriptor its size
    /// can be read from `/proc/self/fdinfo`.
    _map: MapData,
    element: PhantomData<T>,
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
            element: PhantomData,
        })
    }

    /// The number of elements.
    pub(crate) const fn len(&self) -> u32 {
        self.length
    }

    /// The address of an element, which is within the mapping, and aligned to
    /// 8 bytes: the mapping starts at a page, and the stride is a multiple of 8.
    pub(in crate::source::bpf) fn element(&self, index: u32) -> Option<*mut T> {
        // SAFETY: the element is within the mapping.
        (index < self.length).then(|| unsafe {
            self.memory
                .as_mut_ptr()
                .add(index as usize * Self::STRIDE)
                .cast()
        })
    }
}

impl<T: Pod> MappedArray<T> {
    /// A copy of an element. The kernel may be writing it: then some fields are
    /// from before and some from after, but each one is whole.
    pub(crate) fn read(&self, index: u32) -> Option<T> {
        let element = self.element(index)?;
        // SAFETY: `element` is within the mapping and aligned.
        Some(unsafe { read_words(element) })
    }
}

/// Copies a record word by word, so that no field is partly from before and
/// partly from after a concurrent write of the kernel.
///
/// # Safety
///
/// `from` is valid for reads and aligned to 8 bytes; the kernel may write to it.
pub(super) unsafe fn read_words<T: Pod>(from: *const T) -> T {
    const {
        assert!(
            size_of::<T>().is_multiple_of(8) && align_of::<T>() == 8,
            "a whole number of words"
        );
    }
    let mut record = MaybeUninit::<T>::uninit();
    let (from, to) = (from.cast::<u64>(), record.as_mut_ptr().cast::<u64>());
    for word in 0..size_of::<T>() / 8 {
        // SAFETY: the word is within the record, by the caller's promise and the
        // size of the type.
        unsafe { to.add(word).write(from.add(word).read_volatile()) };
    }
    // SAFETY: all words were written, and any bytes are a value of a `Pod`.
    unsafe { record.assume_init() }
}
