use std::{
    os::fd::OwnedFd,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

use super::{
    HeldFile, SourceError, SourceStats,
    bound::Bound,
    file_table::FileTable,
    held_file::Keeping,
    kept_file::OpenFiles,
    open::{self, ReadFailure, Root},
    scratch::ScratchPool,
    slot::Slot,
    stats::Counters,
};

/// Reads files below a root, keeps open those that are read often, and counts the cost.
///
/// Only files of kernel file systems stay open: elsewhere, a file may be replaced. If
/// a kept file can no longer be read, since its device was removed, it is opened again.
#[derive(Debug)]
pub(super) struct Reader {
    root: Root,
    files: FileTable,
    total: Counters,
    scratch: ScratchPool,
    kept: OpenFiles,
    held: OpenFiles,
    page_size_bytes: OnceLock<Option<u64>>,
}

/// `f_type` of statfs(2) for proc.
const PROC_SUPER_MAGIC: u64 = rustix::fs::PROC_SUPER_MAGIC as u64;
/// The maximum number of files that stay open between ticks.
const MAX_KEPT_FILES: usize = 256;
/// The maximum number of files that stay open in a [`HeldFile`].
const MAX_HELD_FILES: usize = 16_384;

impl Reader {
    pub(super) fn new(root: Root) -> Self {
        Self {
            root,
            files: FileTable::default(),
            total: Counters::default(),
            scratch: ScratchPool::default(),
            kept: OpenFiles::at_most(MAX_KEPT_FILES),
            held: OpenFiles::at_most(MAX_HELD_FILES),
            page_size_bytes: OnceLock::new(),
        }
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    pub(super) fn files(&self) -> &FileTable {
        &self.files
    }

    /// The total cost of all reads.
    pub(super) fn stats(&self) -> SourceStats {
        self.total.get()
    }

    /// The number of files that are open between ticks, including held files.
    pub(super) fn open_files(&self) -> usize {
        self.kept.count() + self.held.count()
    }

    /// The page size of this kernel, if the root's `/proc` is a proc file system.
    pub(super) fn page_size_bytes(&self) -> Option<u64> {
        *self.page_size_bytes.get_or_init(|| {
            let proc = self.root.open_directory("/proc").ok()?;
            let statfs = rustix::fs::fstatfs(&proc).ok()?;
            (statfs.f_type as u64 == PROC_SUPER_MAGIC).then(|| rustix::param::page_size() as u64)
        })
    }

    /// Counts a read that was saved.
    pub(super) fn count_saved(&self, path: &str) {
        self.total.saved();
        self.files.slot(path).0.counters.saved();
    }

    /// Reads a file, through the kept descriptor if there is one.
    pub(super) fn read(&self, path: &str, now_ns: u64) -> Result<Bytes, SourceError> {
        let (slot, of_process) = self.files.slot(path);
        let mut scratch = self.scratch.take();
        let result = if of_process {
            self.open_and_read(&slot, path, &mut scratch)
                .map(|_closed| Bytes::copy_from_slice(&scratch))
        } else {
            self.read_kept(&slot, path, &mut scratch, now_ns)
                .map(|()| slot.store(&scratch, now_ns))
        };
        if result.is_ok() {
            self.count_read(&slot, scratch.len());
        }
        self.scratch.put(scratch);
        result
    }

    /// Reads a file through the descriptor of its [`HeldFile`] if it has one.
    pub(super) fn read_held(&self, held: &mut HeldFile) -> Result<Bytes, SourceError> {
        let slot = match &held.slot {
            Some(slot) => Arc::clone(slot),
            None => Arc::clone(held.slot.insert(self.files.slot(&held.path).0)),
        };
        let mut scratch = self.scratch.take();
        let kept = held.file.as_ref();
        let kept =
            kept.map(|kept| open::read_all(kept.file(), &mut scratch, Bound::of(&held.path)));
        let result = if let Some(Ok(())) = kept {
            Ok(())
        } else {
            held.file = None;
            scratch.clear();
            self.open_and_read(&slot, &held.path, &mut scratch)
                .map(|file| self.hold(held, file))
        };
        let result = result.map(|()| Bytes::copy_from_slice(&scratch));
        if result.is_ok() {
            self.count_read(&slot, scratch.len());
        }
        self.scratch.put(scratch);
        result
    }

    /// Runs a read of something other than a file's content, and counts it as one read,
    /// and as one open if `opens`.
    pub(super) fn counted<T>(
        &self,
        path: &str,
        opens: bool,
        read: impl FnOnce(&Root) -> Result<T, SourceError>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Result<T, SourceError> {
        let (slot, _) = self.files.slot(path);
        if opens {
            self.count_open(&slot);
        }
        let result = read(&self.root)?;
        self.count_read(&slot, bytes(&result));
        Ok(result)
    }

    fn hold(&self, held: &mut HeldFile, file: OwnedFd) {
        match held.keeping {
            Keeping::NotYet => held.keeping = Keeping::Yes,
            Keeping::Yes if is_on_kernel_file_system(&file) => held.file = self.held.keep(file),
            Keeping::Yes | Keeping::No => held.keeping = Keeping::No,
        }
    }

    fn read_kept(
        &self,
        slot: &Slot,
        path: &str,
        scratch: &mut Vec<u8>,
        now_ns: u64,
    ) -> Result<(), SourceError> {
        if let Some(kept) = slot.take_file() {
            match open::read_all(kept.file(), scratch, Bound::of(path)) {
                Ok(()) => {
                    slot.put_file(kept);
                    return Ok(());
                }
                Err(ReadFailure::TooLarge) => return Err(self.too_large(path)),
                // The open below finds out whether the file still exists.
                Err(ReadFailure::Os(_)) => scratch.clear(),
            }
        }
        let often = slot.is_read_often(now_ns);
        let file = self.open_and_read(slot, path, scratch)?;
        if often {
            self.keep(slot, file);
        }
        Ok(())
    }

    fn open_and_read(
        &self,
        slot: &Slot,
        path: &str,
        scratch: &mut Vec<u8>,
    ) -> Result<OwnedFd, SourceError> {
        self.count_open(slot);
        let file = self.root.open_file(path)?;
        match open::read_all(&file, scratch, Bound::of(path)) {
            Ok(()) => Ok(file),
            Err(ReadFailure::TooLarge) => Err(self.too_large(path)),
            Err(ReadFailure::Os(errno)) => {
                Err(SourceError::io("read", self.root.full_path(path), errno))
            }
        }
    }

    fn keep(&self, slot: &Slot, file: OwnedFd) {
        if !is_on_kernel_file_system(&file) {
            slot.refuse_to_keep();
            return;
        }
        // At the limit the file is closed, and opened again in the next tick.
        if let Some(kept) = self.kept.keep(file) {
            slot.put_file(kept);
        }
    }

    fn too_large(&self, path: &str) -> SourceError {
        self.root.too_large(path, Bound::of(path).bytes)
    }

    fn count_open(&self, slot: &Slot) {
        slot.counters.opened();
        self.total.opened();
    }

    fn count_read(&self, slot: &Slot, bytes: usize) {
        slot.counters.read(bytes);
        self.total.read(bytes);
    }
}

/// Whether a file is on a file system whose files the kernel generates at each read.
fn is_on_kernel_file_system(file: &OwnedFd) -> bool {
    const SYSFS_MAGIC: u64 = 0x6265_6572;
    const CGROUP_SUPER_MAGIC: u64 = 0x0027_e0eb;
    const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
    rustix::fs::fstatfs(file).is_ok_and(|statfs| {
        matches!(
            statfs.f_type as u64,
            PROC_SUPER_MAGIC | SYSFS_MAGIC | CGROUP_SUPER_MAGIC | CGROUP2_SUPER_MAGIC
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::source::file_table::MAX_SLOTS;

    fn reader(root: &str) -> Reader {
        Reader::new(Root::new(PathBuf::from(root)))
    }

    #[test]
    fn a_kept_file_that_can_no_longer_be_read_is_opened_again() {
        let reader = reader("/");
        let (slot, _) = reader.files.slot("/proc/version");
        // A directory, whose read fails, in place of a file of a removed device.
        let removed = std::fs::File::open("/proc").unwrap();
        slot.put_file(reader.kept.keep(removed.into()).unwrap());
        let version = reader.read("/proc/version", 1).unwrap();
        assert!(version.starts_with(b"Linux version"));
        assert_eq!(reader.stats().opens, 1);
        assert_eq!(reader.open_files(), 0);
    }

    #[test]
    fn the_number_of_slots_is_bounded() {
        let reader = reader("/nonexistent");
        for number in 0..MAX_SLOTS + 10 {
            assert!(reader.read(&format!("/sys/{number}"), 1).is_err());
        }
        assert!(reader.files.stats().len() <= MAX_SLOTS);
        assert_eq!(reader.stats().opens as usize, MAX_SLOTS + 10);
    }
}
