use std::{fs, io};

/// The size of a file.
const BYTES: usize = 16 << 10;

/// Files that are written, renamed and removed.
pub(crate) struct Files {
    folder: tempfile::TempDir,
    data: Vec<u8>,
}

impl Files {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
            data: vec![7; BYTES],
        })
    }

    /// Writes one. Returns the number of files.
    pub(crate) fn write(&mut self) -> io::Result<u64> {
        let [new, old] = ["new", "old"].map(|name| self.folder.path().join(name));
        fs::write(&new, &self.data)?;
        fs::rename(&new, &old)?;
        fs::remove_file(&old)?;
        Ok(1)
    }
}
