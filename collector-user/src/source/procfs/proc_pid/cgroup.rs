use crate::source::parse;

/// The cgroup of a process, from `/proc/PID/cgroup`: its path from the root of
/// the hierarchy.
///
/// That of version 2 if it has one there, unless that is the root while version
/// 1 has something better to say, as on a host that uses both. Then the
/// hierarchies of version 1 are asked, in the order in which they tell most:
/// `name=systemd`, `cpu`, `memory`, any.
/// <https://docs.kernel.org/admin-guide/cgroup-v2.html#processes>
///
/// `None` where the file is empty, as of a process that has ended, or is not
/// understood.
pub fn parse_cgroup(bytes: &[u8]) -> Option<String> {
    let mut best: Option<(u32, &[u8])> = None;
    for (_, line) in parse::lines(bytes) {
        // `ID:CONTROLLERS:PATH`; the path may hold colons.
        let mut parts = line.splitn(3, |&byte| byte == b':');
        let (Some(id), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        if parse::number::<u32>(id).is_none() || path.first() != Some(&b'/') {
            continue;
        }
        let has = |name: &[u8]| controllers.split(|&byte| byte == b',').any(|c| c == name);
        let rank = match (controllers, path) {
            (b"", b"/") => 1,
            (_, b"/") => 0,
            (b"", _) => 6,
            _ if has(b"name=systemd") => 5,
            _ if has(b"cpu") => 4,
            _ if has(b"memory") => 3,
            _ => 2,
        };
        if best.is_none_or(|(best, _)| rank > best) {
            best = Some((rank, path));
        }
    }
    best.map(|(_, path)| String::from_utf8_lossy(path).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    #[test]
    fn a_path_may_hold_colons_and_garbage_gives_nothing() {
        assert_eq!(parse_cgroup(b"0::/a:b\n").as_deref(), Some("/a:b"));
        assert_eq!(parse_cgroup(b""), None);
        assert_eq!(parse_cgroup(b"\xff\xfe:::\n0:\n::\n"), None);
    }
}
