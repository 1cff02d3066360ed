use crate::{
    accounting::cgroup::container_of,
    source::{name_text, parse},
};

/// The suffix that cgroup v2 appends to the path of a zombie whose cgroup was removed:
/// <https://docs.kernel.org/admin-guide/cgroup-v2.html#processes>.
const DELETED: &[u8] = b" (deleted)";

/// The path of a process' cgroup in its hierarchy, from `/proc/PID/cgroup`.
///
/// A v1 line with the path of a container has priority over the v2 line: on a host that
/// mounts both, a runtime with the `cgroupfs` driver moves a container only in the v1
/// hierarchies, and `0::` is still the cgroup of the daemon. Next is v2, unless it is the
/// root and v1 is not. The order of the v1 hierarchies is `name=systemd`, `cpu`, `memory`,
/// any other.
/// <https://docs.kernel.org/admin-guide/cgroup-v2.html#mounting>
///
/// `None` if the file is empty, as for a process that was reaped, or malformed.
pub fn parse_cgroup(bytes: &[u8]) -> Option<String> {
    let best = lines(bytes).max_by_key(Line::rank)?;
    Some(best.path)
}

/// The cgroup of a zombie, from `/proc/PID/cgroup`.
///
/// The kernel shows `/` for an exiting task in every v1 hierarchy, so only the v2 path is
/// valid, and only if it is not the root of a host that uses v1:
/// <https://github.com/torvalds/linux/blob/v6.12/kernel/cgroup/cgroup.c#L6338>.
pub fn parse_zombie_cgroup(bytes: &[u8]) -> Option<String> {
    let has_version_1 = lines(bytes).any(|line| !line.is_version_2());
    let version_2 = lines(bytes).find(Line::is_version_2)?;
    (!has_version_1 || version_2.path != "/").then_some(version_2.path)
}

/// One hierarchy: `ID:CONTROLLERS:PATH`.
struct Line<'b> {
    controllers: &'b [u8],
    path: String,
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    parse::lines(bytes).filter_map(|(_, line)| Line::parse(line))
}

impl<'b> Line<'b> {
    fn parse(line: &'b [u8]) -> Option<Self> {
        // The path may contain colons.
        let mut parts = line.splitn(3, |&byte| byte == b':');
        let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        parse::number::<u32>(id)?;
        // A live cgroup with this suffix in its name looks the same; no runtime creates
        // such a name.
        let path = match controllers {
            b"" => path.strip_suffix(DELETED).unwrap_or(path),
            _ => path,
        };
        (path.first() == Some(&b'/')).then(|| Self {
            controllers,
            // As the names of directories are, so that two cgroups stay two.
            path: name_text(path).into_owned(),
        })
    }

    const fn is_version_2(&self) -> bool {
        self.controllers.is_empty()
    }

    fn has(&self, controller: &[u8]) -> bool {
        let mut controllers = self.controllers.split(|&byte| byte == b',');
        controllers.any(|known| known == controller)
    }

    /// How much the line tells: more is better, and no two hierarchies that
    /// differ in it are in use for the same purpose.
    fn rank(&self) -> u32 {
        let hierarchy = match self.controllers {
            b"" => 5,
            _ if self.has(b"name=systemd") => 4,
            _ if self.has(b"cpu") => 3,
            _ if self.has(b"memory") => 2,
            _ => 1,
        };
        if self.path == "/" {
            return u32::from(self.is_version_2());
        }
        let names_container = !self.is_version_2()
            && container_of(&self.path).is_some_and(|found| found.container_id.is_some());
        hierarchy + 1 + if names_container { 10 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn version_2_is_one_line() {
        assert_eq!(
            parse_cgroup(b"0::/system.slice/cron.service\n").as_deref(),
            Some("/system.slice/cron.service")
        );
    }

    #[test]
    fn a_host_with_both_versions_shows_the_path_that_tells_something() {
        assert_eq!(
            parse_cgroup(b"4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abd\n0::/\n").as_deref(),
            Some("/docker/abd")
        );
        assert_eq!(
            parse_cgroup(b"4:memory:/\n1:name=systemd:/\n0::/\n").as_deref(),
            Some("/")
        );
        assert_eq!(
            parse_cgroup(b"4:memory:/x\n1:name=systemd:/y\n0::/z\n").as_deref(),
            Some("/z")
        );
    }

    #[test]
    fn a_container_of_version_1_goes_before_the_unit_of_its_daemon() {
        let lines = format!(
            "11:memory:/docker/{ID}\n3:rdma:/\n1:name=systemd:/docker/{ID}\n\
             0::/system.slice/containerd.service\n"
        );
        assert_eq!(
            parse_cgroup(lines.as_bytes()),
            Some(format!("/docker/{ID}"))
        );
    }

    #[test]
    fn the_cgroup_of_a_zombie_is_that_of_version_2_without_the_suffix() {
        for parse in [parse_cgroup, parse_zombie_cgroup] {
            assert_eq!(parse(b"0::/a (deleted)\n").as_deref(), Some("/a"));
            assert_eq!(parse(b"0::/\n").as_deref(), Some("/"));
        }
        // Version 1 never shows the suffix.
        assert_eq!(
            parse_cgroup(b"1:cpu:/a (deleted)\n").as_deref(),
            Some("/a (deleted)")
        );
        assert_eq!(parse_zombie_cgroup(b"1:cpu:/\n0::/\n"), None);
        assert_eq!(parse_zombie_cgroup(b"1:cpu:/\n"), None);
        assert_eq!(
            parse_zombie_cgroup(b"1:cpu:/\n0::/a\n").as_deref(),
            Some("/a")
        );
    }

    #[test]
    fn a_path_may_hold_colons_and_garbage_gives_nothing() {
        assert_eq!(parse_cgroup(b"0::/a:b\n").as_deref(), Some("/a:b"));
        assert_eq!(parse_cgroup(b"0::/a\xff\n").as_deref(), Some("/a\\xff"));
        assert_eq!(parse_cgroup(b""), None);
        assert_eq!(parse_cgroup(b"\xff\xfe:::\n0:\n::\n"), None);
        assert_eq!(parse_zombie_cgroup(b"\xff\xfe:::\n0:\n::\n"), None);
    }
}
