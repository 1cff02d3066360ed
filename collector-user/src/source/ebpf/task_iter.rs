use std::{
    io::{self, Read},
    mem::size_of,
};

use aya::{Ebpf, programs::Iter};
use collector_ebpf::TaskEntry;

use super::mapped::Record;

// SAFETY: integers only, and no padding.
unsafe impl Record for TaskEntry {}

/// One pass over all tasks of the host.
///
/// # Minimum kernel version
///
/// 5.8: <https://git.kernel.org/torvalds/c/eaaacd23910f>
pub(super) fn visit_all(ebpf: &mut Ebpf, visit: impl FnMut(&TaskEntry)) -> io::Result<()> {
    let program: &mut Iter = ebpf
        .program_mut("all_tasks")
        .ok_or_else(|| io::Error::other("the object has no iterator"))?
        .try_into()
        .map_err(io::Error::other)?;
    let link = program.attach().map_err(io::Error::other)?;
    let link = program.take_link(link).map_err(io::Error::other)?;
    let mut file = link.into_file().map_err(io::Error::other)?;
    read_entries(&mut file, visit)
}

/// Reads entries until the end. The kernel cuts its output where the buffer
/// is full, which may be within an entry.
fn read_entries(file: &mut impl Read, mut visit: impl FnMut(&TaskEntry)) -> io::Result<()> {
    const ENTRY: usize = size_of::<TaskEntry>();
    let mut buffer = vec![0; 128 * ENTRY];
    let mut filled = 0;
    loop {
        let read = match file.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            // A task was in a state in which it could not be shown: the kernel
            // asks to try again.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                ) =>
            {
                continue;
            }
            Err(error) => return Err(error),
        };
        filled += read;
        let mut entries = buffer[..filled].chunks_exact(ENTRY);
        for bytes in &mut entries {
            // SAFETY: the chunk has the size of an entry, and any bits are one.
            let entry = unsafe { bytes.as_ptr().cast::<TaskEntry>().read_unaligned() };
            visit(&entry);
        }
        let rest = entries.remainder().len();
        buffer.copy_within(filled - rest..filled, 0);
        filled = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = 7.min(self.0.len()).min(buffer.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    #[test]
    fn entries_that_arrive_in_pieces_are_put_together() {
        let mut bytes = Vec::new();
        for tid in 0..300u32 {
            let mut entry = vec![0; size_of::<TaskEntry>()];
            entry[..4].copy_from_slice(&tid.to_ne_bytes());
            bytes.extend(entry);
        }
        let mut tids = Vec::new();
        read_entries(&mut Trickle(&bytes), |entry| tids.push(entry.tid)).expect("nothing fails");
        assert_eq!(tids, (0..300).collect::<Vec<_>>());
    }
}
