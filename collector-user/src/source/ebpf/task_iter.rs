use std::{
    io::{self, Read},
    mem::size_of,
};

use aya::{Ebpf, programs::Iter};
use collector_ebpf::TaskEntry;

use super::{loader::with_causes, mapped::Record};

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
        .map_err(|error| io::Error::other(with_causes(&error)))?;
    let link = program
        .attach()
        .map_err(|error| io::Error::other(with_causes(&error)))?;
    let link = program
        .take_link(link)
        .map_err(|error| io::Error::other(with_causes(&error)))?;
    let mut file = link
        .into_file()
        .map_err(|error| io::Error::other(with_causes(&error)))?;
    read_entries(&mut file, visit)
}

/// How often in a row the kernel may ask to try again. It does so where it has
/// come by a million tasks without an entry (`MAX_ITER_OBJECTS` of
/// `kernel/bpf/bpf_iter.c`): more than a host has, unless the program fails at
/// each.
const MOST_TRIES: u32 = 16;

/// Reads entries until the end. The kernel cuts its output where the buffer
/// is full, which may be within an entry.
fn read_entries(file: &mut impl Read, mut visit: impl FnMut(&TaskEntry)) -> io::Result<()> {
    const ENTRY: usize = size_of::<TaskEntry>();
    let mut buffer = vec![0; 128 * ENTRY];
    let mut filled = 0;
    let mut tries = 0;
    loop {
        let read = match file.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                ) && tries < MOST_TRIES =>
            {
                tries += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        tries = 0;
        filled += read;
        let mut entries = buffer[..filled].chunks_exact(ENTRY);
        for bytes in &mut entries {
            // SAFETY: the chunk has the size of the type, which is `repr(C)` and
            // of integers only, so that any bits are a value of it; that they
            // are those of an entry is seen to by `loader::maps::check_sizes`.
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

    /// Asks to try again so many times before each byte.
    struct Again<'a>(&'a [u8], u32, u32);

    impl Read for Again<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.2 < self.1 {
                self.2 += 1;
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.2 = 0;
            Trickle(self.0)
                .read(buffer)
                .inspect(|&read| self.0 = &self.0[read..])
        }
    }

    #[test]
    fn a_kernel_that_only_asks_to_try_again_is_an_error_and_no_loop() {
        let bytes = vec![0; size_of::<TaskEntry>()];
        let read = |tries| {
            let mut entries = 0;
            read_entries(&mut Again(&bytes, tries, 0), |_| entries += 1).map(|()| entries)
        };
        assert_eq!(read(MOST_TRIES).ok(), Some(1));
        let error = read(u32::MAX).expect_err("it has to end");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
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
