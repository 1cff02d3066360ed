use aya::Pod;

/// The record at the start of these bytes; `None` if there are too few.
pub(super) fn read_pod<T: Pod>(bytes: &[u8]) -> Option<T> {
    // SAFETY: there are as many bytes as the type has, and any bytes are a value
    // of a `Pod`. They need not be aligned.
    (bytes.len() >= size_of::<T>()).then(|| unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}
