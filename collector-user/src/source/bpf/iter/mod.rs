//! The iterator over all tasks.

use std::io::{self, Read};

use aya::{
    Ebpf,
    programs::{Iter, ProgramError, links::LinkError},
};
use collector_ebpf::TaskEntry;

use super::{load::with_causes, pod::read_pod};

/// The tasks could not be visited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IterError {
    /// The object has no iterator.
    #[error("the object has no program all_tasks")]
    NoProgram,
    /// The kernel refused to attach the iterator.
    #[error("cannot attach the iterator over all tasks: {}", with_causes(.0))]
    Attach(#[source] ProgramError),
    /// The kernel refused to open the iterator.
    #[error("cannot open the iterator over all tasks: {}", with_causes(.0))]
    Open(#[source] LinkError),
    /// Reading failed.
    #[error("cannot read the iterator over all tasks: {0}")]
    Read(#[source] io::Error),
}

/// Visits all tasks of the host.
///
/// # Minimum kernel version
///
/// 5.8: <https://git.kernel.org/torvalds/c/eaaacd23910f>
pub(super) fn visit_all(ebpf: &mut Ebpf, visit: impl FnMut(&TaskEntry)) -> Result<(), IterError> {
    let program: &mut Iter = ebpf
        .program_mut("all_tasks")
        .ok_or(IterError::NoProgram)?
        .try_into()
        .map_err(IterError::Attach)?;
    let link = program.attach().map_err(IterError::Attach)?;
    let link = program.take_link(link).map_err(IterError::Attach)?;
    let mut file = link.into_file().map_err(IterError::Open)?;
    read_entries(&mut file, visit).map_err(IterError::Read)
}

/// The most consecutive times that the kernel may return `EAGAIN`. It does so
/// after a million tasks without an entry (`MAX_ITER_OBJECTS` of
/// `kernel/bpf/bpf_iter.c`): more than a host has, unless the program fails for
/// each.
const MAX_TRIES: u32 = 16;

/// Reads entries until the end. The kernel truncates its output at the end of the
/// buffer, which may be within an entry.
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
                ) && tries < MAX_TRIES =>
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
            if let Some(entry) = read_pod(bytes) {
                visit(&entry);
            }
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

    /// Returns `WouldBlock` a number of times before each read.
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
    fn endless_eagain_is_an_error_and_no_loop() {
        let bytes = vec![0; size_of::<TaskEntry>()];
        let read = |tries| {
            let mut entries = 0;
            read_entries(&mut Again(&bytes, tries, 0), |_| entries += 1).map(|()| entries)
        };
        assert_eq!(read(MAX_TRIES).ok(), Some(1));
        let error = read(u32::MAX).expect_err("it has to end");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn entries_that_arrive_in_pieces_are_joined() {
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
