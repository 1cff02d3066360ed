use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::PathBuf,
};

use super::{name_bytes, open::read_kernel_file, parse};
use crate::accounting::cgroup::CgroupFs;

/// Where the cgroup hierarchies of this host are mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CgroupMounts {
    /// Whether no hierarchy of version 1 is in use.
    is_v2_only: bool,
    v2: Option<PathBuf>,
    v1: Vec<PathBuf>,
}

impl CgroupMounts {
    /// Those that this process sees.
    pub(crate) fn of_this_host() -> Self {
        let read = |path| read_kernel_file(path).unwrap_or_default();
        Self::parse(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
    }

    /// From `/proc/self/cgroup`, which has a line for each hierarchy in use, and
    /// `/proc/self/mountinfo`.
    fn parse(own: &[u8], mounts: &[u8]) -> Self {
        let mut lines = parse::lines(own).map(|(_, line)| line).peekable();
        let mut found = Self {
            // The v2 hierarchy has number 0.
            is_v2_only: lines.peek().is_some() && lines.all(|line| line.starts_with(b"0::")),
            ..Self::default()
        };
        for (_, line) in parse::lines(mounts) {
            // ID PARENT DEVICE ROOT MOUNT_POINT OPTIONS [FIELDS…] - TYPE SOURCE …
            let mut words = line.split(|&byte| byte == b' ');
            let (Some(root), Some(mount_point)) = (words.nth(3), words.next()) else {
                continue;
            };
            let kind = words.skip_while(|word| *word != b"-").nth(1);
            // A bind mount of a subtree has other paths.
            if root != b"/" {
                continue;
            }
            let mount_point = PathBuf::from(unescaped(mount_point));
            match kind {
                Some(b"cgroup2") => found.v2 = found.v2.or(Some(mount_point)),
                Some(b"cgroup") => found.v1.push(mount_point),
                _ => {}
            }
        }
        found
    }

    /// A host on which no hierarchy is visible.
    #[cfg(test)]
    pub(crate) fn without_mounts(is_v2_only: bool) -> Self {
        Self {
            is_v2_only,
            ..Self::default()
        }
    }

    /// A host with both versions, with v2 mounted at this directory.
    #[cfg(test)]
    pub(crate) fn hybrid(v2: PathBuf) -> Self {
        Self {
            v2: Some(v2),
            ..Self::default()
        }
    }
}

impl CgroupFs for CgroupMounts {
    fn is_v2_only(&self) -> bool {
        self.is_v2_only
    }

    fn is_path_of(&self, id: u64, path: &str) -> bool {
        match &self.v2 {
            Some(mount) => inode(mount, path) == Some(id),
            None => true,
        }
    }

    fn id_of(&self, path: &str) -> Option<u64> {
        inode(self.v2.as_ref()?, path)
    }

    fn exists(&self, id: Option<u64>, path: Option<&str>) -> bool {
        let Some(path) = path else {
            return false;
        };
        match id {
            Some(id) => self
                .v2
                .as_ref()
                .is_some_and(|mount| inode(mount, path) == Some(id)),
            None => self
                .v1
                .iter()
                .chain(&self.v2)
                .any(|mount| inode(mount, path).is_some()),
        }
    }
}

/// The inode number of the directory of a cgroup, which is the cgroup v2 ID:
/// `kernfs_init_inode` of `fs/kernfs/inode.c`.
fn inode(mount: &std::path::Path, path: &str) -> Option<u64> {
    let name = name_bytes(path.trim_start_matches('/'));
    let directory = mount.join(OsStr::from_bytes(&name));
    Some(fs::symlink_metadata(directory).ok()?.ino())
}

/// A path of mountinfo, in which `\040` is a space.
fn unescaped(path: &[u8]) -> String {
    let mut text = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| byte == b'\\').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        text.push(octal.unwrap_or(byte));
        rest = after
            .get(if octal.is_some() { 3 } else { 0 }..)
            .unwrap_or(&[]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &[u8] = b"24 1 0:21 / /proc rw - proc proc rw\n\
        30 25 0:26 / /sys/fs/cgroup/cpu rw,relatime shared:4 - cgroup cgroup rw,cpu\n\
        31 25 0:27 /part /mnt/part rw - cgroup cgroup rw,memory\n\
        32 25 0:28 / /sys/fs/cgroup/uni\\040fied rw shared:5 master:1 - cgroup2 cgroup2 rw\n";

    #[test]
    fn a_hybrid_host_is_distinguished_from_one_with_v2_only() {
        let found = CgroupMounts::parse(b"1:cpu:/\n0::/\n", HYBRID);
        assert!(!found.is_v2_only);
        assert_eq!(found.v1, [PathBuf::from("/sys/fs/cgroup/cpu")]);
        assert_eq!(found.v2, Some(PathBuf::from("/sys/fs/cgroup/uni fied")));
        assert!(CgroupMounts::parse(b"0::/\n", b"").is_v2_only);
        assert!(!CgroupMounts::parse(b"", b"").is_v2_only);
    }

    #[test]
    fn malformed_mounts_are_skipped() {
        for line in [
            &b"\\"[..],
            b"1 2 3 / \\04",
            b"1 2 3 /",
            b" - cgroup2",
            b"\xff",
        ] {
            let found = CgroupMounts::parse(b"0::/\n", line);
            assert_eq!(found.v2, None);
        }
        assert_eq!(unescaped(b"a\\040b\\9"), "a b\\9");
    }

    #[test]
    fn a_cgroup_exists_while_its_directory_has_its_id() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        let id = fs::metadata(root.path().join("a")).unwrap().ino();
        let found = CgroupMounts {
            v2: Some(root.path().to_owned()),
            ..CgroupMounts::default()
        };
        assert!(found.is_path_of(id, "/a") && found.exists(Some(id), Some("/a")));
        assert!(!found.is_path_of(id + 1, "/a") && !found.exists(Some(id + 1), Some("/a")));
        assert!(found.exists(None, Some("/a")) && !found.exists(None, Some("/b")));
        assert!(!found.exists(Some(id), None));
        assert!(CgroupMounts::default().is_path_of(id, "/a"));
    }
}
