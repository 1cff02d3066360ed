//! Writes an initramfs: a cpio archive in the `newc` format.
//!
//! <https://docs.kernel.org/driver-api/early-userspace/buffer-format.html>

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context as _, Result};

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;

/// An archive that is being written.
#[derive(Debug)]
pub(crate) struct Initramfs<W> {
    out: W,
    /// The inode number of the next file: equal numbers would be hard links.
    inode: u32,
}

impl<W: Write> Initramfs<W> {
    /// An archive written to `out`.
    pub(crate) fn new(out: W) -> Self {
        Self { out, inode: 1 }
    }

    /// Adds an empty directory, after its parent.
    ///
    /// # Errors
    /// When `out` fails.
    pub(crate) fn folder(&mut self, name: &str) -> io::Result<()> {
        self.entry(name, FOLDER, &[])
    }

    /// Adds a copy of the program at `path`.
    ///
    /// # Errors
    /// When `path` cannot be read, or `out` fails.
    pub(crate) fn program(&mut self, name: &str, path: &Path) -> Result<()> {
        let data = fs::read(path).with_context(|| path.display().to_string())?;
        self.entry(name, PROGRAM, &data)
            .with_context(|| format!("cannot write {name} to the initramfs"))
    }

    /// Adds a file that holds `data`.
    ///
    /// # Errors
    /// When `out` fails.
    pub(crate) fn file(&mut self, name: &str, data: &[u8]) -> io::Result<()> {
        self.entry(name, FILE, data)
    }

    /// Adds a symbolic link to `target`.
    ///
    /// # Errors
    /// When `out` fails.
    pub(crate) fn link(&mut self, name: &str, target: &str) -> io::Result<()> {
        self.entry(name, LINK, target.as_bytes())
    }

    /// Ends the archive, and returns what it was written to.
    ///
    /// # Errors
    /// When `out` fails.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, &[])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn entry(&mut self, name: &str, mode: u32, data: &[u8]) -> io::Result<()> {
        let size = u32::try_from(data.len()).map_err(io::Error::other)?;
        let inode = self.inode;
        self.inode += 1;
        let [uid, gid, links, mtime] = [0, 0, 1, 0];
        let [device, device_minor, node, node_minor] = [0, 0, 0, 0];
        let name_size = name.len() as u32 + 1;
        let checksum = 0;
        write!(self.out, "070701")?;
        for field in [
            inode,
            mode,
            uid,
            gid,
            links,
            mtime,
            size,
            device,
            device_minor,
            node,
            node_minor,
            name_size,
            checksum,
        ] {
            write!(self.out, "{field:08x}")?;
        }
        self.out.write_all(name.as_bytes())?;
        self.out.write_all(&[0])?;
        // The header has 110 bytes. The name and the data are each padded to a
        // multiple of four.
        self.pad(110 + name.len() + 1)?;
        self.out.write_all(data)?;
        self.pad(data.len())
    }

    fn pad(&mut self, written: usize) -> io::Result<()> {
        let missing = written.next_multiple_of(4) - written;
        self.out.write_all(&[0; 3][..missing])
    }
}

#[cfg(test)]
mod tests {
    use super::Initramfs;

    #[test]
    fn every_entry_begins_at_a_multiple_of_four() {
        let mut archive = Initramfs::new(Vec::new());
        archive.folder("etc").unwrap();
        archive.file("etc/a", b"12345").unwrap();
        archive.link("etc/bc", "a").unwrap();
        let bytes = archive.finish().unwrap();
        let starts: Vec<usize> = bytes
            .windows(6)
            .enumerate()
            .filter(|(_, window)| window == b"070701")
            .map(|(offset, _)| offset)
            .collect();
        assert_eq!(starts.len(), 4);
        assert!(starts.iter().all(|start| start % 4 == 0), "{starts:?}");
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn the_size_of_a_file_is_in_its_header() {
        let mut archive = Initramfs::new(Vec::new());
        archive.file("a", b"0123456789abcdef!").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(&bytes[6 + 6 * 8..6 + 7 * 8], b"00000011");
    }
}
