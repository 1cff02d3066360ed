use std::sync::Arc;

/// The bytes that a part of a reading owns on the heap.
pub(super) trait OwnedBytes {
    fn owned_bytes(&self) -> usize;
}

impl OwnedBytes for u32 {
    fn owned_bytes(&self) -> usize {
        0
    }
}

impl OwnedBytes for Arc<str> {
    fn owned_bytes(&self) -> usize {
        // The text follows the two counts of the `Arc`.
        self.len() + 2 * size_of::<usize>()
    }
}

impl<T: OwnedBytes> OwnedBytes for Option<T> {
    fn owned_bytes(&self) -> usize {
        self.as_ref().map_or(0, OwnedBytes::owned_bytes)
    }
}

impl<T: OwnedBytes> OwnedBytes for Vec<T> {
    fn owned_bytes(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(OwnedBytes::owned_bytes).sum::<usize>()
    }
}

/// The sum over the fields that own something.
macro_rules! owned_bytes {
    ($value:expr; $($field:ident),+ $(,)?) => {
        0 $(+ $crate::metric::heap::OwnedBytes::owned_bytes(&$value.$field))+
    };
}
pub(super) use owned_bytes;
