/// The maximum size of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) bytes: usize,
    /// What happens if the file is larger.
    pub(super) beyond: Beyond,
}

/// What happens if a file is larger than its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    /// The read fails with an error that names the file.
    Refuse,
    /// The beginning is returned.
    Cut,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

impl Bound {
    /// `/proc/PID/cmdline`, which may have megabytes. `proc_pid::cmdline` keeps the first
    /// 4 KiB; as many bytes more are read to skip trailing NULs.
    const ARGUMENTS: Self = Self::cut(8 * KIB);
    /// A file of `/proc/PID`. The largest is `status`, which lists up to
    /// `NGROUPS_MAX`, 65,536, groups of up to 11 bytes:
    /// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/limits.h#L7>.
    const PROCESS: Self = Self::refuse(MIB);
    /// A sysfs attribute is at most one page, and pages are at most 64 KiB:
    /// `sysfs_kf_seq_show` of
    /// <https://github.com/torvalds/linux/blob/v6.12/fs/sysfs/file.c#L40>.
    /// Lists of CPUs may exceed a page, and are below 64 KiB, too:
    /// `CPULIST_FILE_MAX_BYTES` of
    /// <https://github.com/torvalds/linux/blob/v6.12/include/linux/cpumask.h#L1267>.
    const ATTRIBUTE: Self = Self::refuse(64 * KIB);
    /// A cgroup file has one line a device, NUMA node or process.
    const CGROUP: Self = Self::refuse(MIB);
    /// Firmware tables: DMI, ACPI, device tree.
    const FIRMWARE: Self = Self::refuse(MIB);
    /// A sysctl, or a file of /etc.
    const SETTING: Self = Self::refuse(64 * KIB);
    /// A table of /proc, with one line a socket, interrupt or mount. The largest,
    /// `/proc/net/tcp` of a busy server, is smaller.
    const TABLE: Self = Self::refuse(32 * MIB);

    const fn refuse(bytes: usize) -> Self {
        Self {
            bytes,
            beyond: Beyond::Refuse,
        }
    }

    const fn cut(bytes: usize) -> Self {
        Self {
            bytes,
            beyond: Beyond::Cut,
        }
    }

    /// The bound of a file, by its path on a live host.
    pub(super) fn of(path: &str) -> Self {
        let path = path.trim_start_matches('/');
        let (folder, rest) = path.split_once('/').unwrap_or((path, ""));
        let (first, _) = rest.split_once('/').unwrap_or((rest, ""));
        let is_process = first == "self"
            || first == "thread-self"
            || !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
        match (folder, first) {
            ("proc", _) if is_process && rest.ends_with("/cmdline") => Self::ARGUMENTS,
            ("proc", _) if is_process => Self::PROCESS,
            ("proc", "sys") | ("etc" | "usr", _) => Self::SETTING,
            ("proc", "device-tree") | ("sys", "firmware") => Self::FIRMWARE,
            ("sys", "fs") if rest.starts_with("fs/cgroup/") => Self::CGROUP,
            // Mount points of other file systems than sysfs.
            ("sys", "kernel") if is_other_file_system(rest) => Self::TABLE,
            ("sys", _) => Self::ATTRIBUTE,
            _ => Self::TABLE,
        }
    }
}

fn is_other_file_system(rest: &str) -> bool {
    [
        "kernel/debug/",
        "kernel/tracing/",
        "kernel/security/",
        "kernel/btf/",
    ]
    .iter()
    .any(|folder| rest.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_of_a_file_depends_on_its_path() {
        for (path, bound) in [
            ("/proc/17/cmdline", Bound::ARGUMENTS),
            ("/proc/17/task/18/status", Bound::PROCESS),
            ("/proc/self/mountinfo", Bound::PROCESS),
            ("/proc/stat", Bound::TABLE),
            ("/proc/net/tcp", Bound::TABLE),
            ("/proc/cmdline", Bound::TABLE),
            ("/proc/sys/kernel/hostname", Bound::SETTING),
            ("/etc/machine-id", Bound::SETTING),
            ("/proc/device-tree/model", Bound::FIRMWARE),
            ("/sys/class/net/eth0/address", Bound::ATTRIBUTE),
            ("/sys/fs/cgroup/a/memory.stat", Bound::CGROUP),
            ("/sys/fs/xfs/stats/stats", Bound::ATTRIBUTE),
            ("/sys/kernel/security/lockdown", Bound::TABLE),
            ("/sys/kernel/mm/hugepages/x/nr_hugepages", Bound::ATTRIBUTE),
        ] {
            assert_eq!(Bound::of(path), bound, "{path}");
        }
    }
}
