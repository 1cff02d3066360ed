use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::PathBuf,
};

use crate::source::{name_bytes, parse, read_kernel_file};

/// The hierarchies of cgroups of this host, and where they can be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hierarchies {
    /// Whether there is no hierarchy of version 1, so that the cgroup of
    /// version 2 is the cgroup of a process.
    pub(crate) only_version_2: bool,
    /// Where that of version 2 is mounted.
    version_2: Option<PathBuf>,
    /// Where those of version 1 are mounted.
    version_1: Vec<PathBuf>,
}

impl Hierarchies {
    /// Those of the host that this process runs on.
    pub(crate) fn of_this_host() -> Self {
        let read = |path| read_kernel_file(path).unwrap_or_default();
        Self::parse(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
    }

    /// From `/proc/self/cgroup`, which has a line for each hierarchy that is
    /// in use, and `/proc/self/mountinfo`.
    fn parse(own: &[u8], mounts: &[u8]) -> Self {
        let mut lines = parse::lines(own).map(|(_, line)| line).peekable();
        let mut found = Self {
            // The hierarchy of version 2 is number 0.
            only_version_2: lines.peek().is_some() && lines.all(|line| line.starts_with(b"0::")),
            ..Self::default()
        };
        for (_, line) in parse::lines(mounts) {
            // ID PARENT DEVICE ROOT PLACE OPTIONS [FIELDS…] - KIND SOURCE …
            let mut words = line.split(|&byte| byte == b' ');
            let (Some(root), Some(place)) = (words.nth(3), words.next()) else {
                continue;
            };
            let kind = words.skip_while(|word| *word != b"-").nth(1);
            // One that shows a part only has other paths.
            if root != b"/" {
                continue;
            }
            let place = PathBuf::from(unescaped(place));
            match kind {
                Some(b"cgroup2") => found.version_2 = found.version_2.or(Some(place)),
                Some(b"cgroup") => found.version_1.push(place),
                _ => {}
            }
        }
        found
    }

    /// Whether a path of version 2 is that of the cgroup with this number; if
    /// the hierarchy cannot be seen, it is believed.
    pub(crate) fn agree(&self, id: u64, path: &str) -> bool {
        match &self.version_2 {
            Some(mount) => inode(mount, path) == Some(id),
            None => true,
        }
    }

    /// The number of the cgroup of version 2 with this path, if it can be seen.
    pub(crate) fn number(&self, path: &str) -> Option<u64> {
        inode(self.version_2.as_ref()?, path)
    }

    /// A host with both versions, on which this folder stands for version 2.
    #[cfg(test)]
    pub(crate) fn hybrid(version_2: PathBuf) -> Self {
        Self {
            version_2: Some(version_2),
            ..Self::default()
        }
    }

    /// Whether there is a cgroup with this number and path, as far as can be
    /// seen.
    pub(crate) fn exists(&self, id: Option<u64>, path: Option<&str>) -> bool {
        let Some(path) = path else {
            return false;
        };
        match id {
            Some(id) => self
                .version_2
                .as_ref()
                .is_some_and(|mount| inode(mount, path) == Some(id)),
            None => self
                .version_1
                .iter()
                .chain(&self.version_2)
                .any(|mount| inode(mount, path).is_some()),
        }
    }
}

/// The number of the folder of a cgroup, which is that of the cgroup:
/// `kernfs_init_inode` of `fs/kernfs/inode.c`.
fn inode(mount: &std::path::Path, path: &str) -> Option<u64> {
    let name = name_bytes(path.trim_start_matches('/'));
    let folder = mount.join(OsStr::from_bytes(&name));
    Some(fs::symlink_metadata(folder).ok()?.ino())
}

/// A path as mountinfo shows it, where `\040` is a space.
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
    fn a_hybrid_host_is_told_from_one_with_version_2_only() {
        let found = Hierarchies::parse(b"1:cpu:/\n0::/\n", HYBRID);
        assert!(!found.only_version_2);
        assert_eq!(found.version_1, [PathBuf::from("/sys/fs/cgroup/cpu")]);
        assert_eq!(
            found.version_2,
            Some(PathBuf::from("/sys/fs/cgroup/uni fied"))
        );
        assert!(Hierarchies::parse(b"0::/\n", b"").only_version_2);
        assert!(!Hierarchies::parse(b"", b"").only_version_2);
    }

    #[test]
    fn damaged_mounts_are_left_out() {
        for line in [
            &b"\\"[..],
            b"1 2 3 / \\04",
            b"1 2 3 /",
            b" - cgroup2",
            b"\xff",
        ] {
            let found = Hierarchies::parse(b"0::/\n", line);
            assert_eq!(found.version_2, None);
        }
        assert_eq!(unescaped(b"a\\040b\\9"), "a b\\9");
    }

    #[test]
    fn a_cgroup_is_there_while_its_folder_has_its_number() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        let id = fs::metadata(root.path().join("a")).unwrap().ino();
        let found = Hierarchies {
            version_2: Some(root.path().to_owned()),
            ..Hierarchies::default()
        };
        assert!(found.agree(id, "/a") && found.exists(Some(id), Some("/a")));
        assert!(!found.agree(id + 1, "/a") && !found.exists(Some(id + 1), Some("/a")));
        assert!(found.exists(None, Some("/a")) && !found.exists(None, Some("/b")));
        assert!(!found.exists(Some(id), None));
        assert!(Hierarchies::default().agree(id, "/a"));
    }
}
