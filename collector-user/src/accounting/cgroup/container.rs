use std::{borrow::Cow, sync::Arc};

use crate::metric::{Container, ContainerRuntime};

/// The prefixes of container cgroups by runtime: `WORD-ID.scope` with the driver
/// `systemd`, `SLICE:WORD:ID` if a runtime with the driver `cgroupfs` was given a
/// systemd path.
const WORDS: &[(&str, ContainerRuntime)] = &[
    ("docker", ContainerRuntime::Docker),
    ("cri-containerd", ContainerRuntime::Containerd),
    ("nerdctl", ContainerRuntime::Containerd),
    ("crio", ContainerRuntime::CriO),
    ("libpod", ContainerRuntime::Podman),
    ("libpod-payload", ContainerRuntime::Podman),
    ("buildkit", ContainerRuntime::Buildkit),
];

/// The parent cgroups that runtimes with the driver `cgroupfs` create for their
/// containers.
const PARENTS: &[(&str, ContainerRuntime)] = &[
    ("docker", ContainerRuntime::Docker),
    ("k8s.io", ContainerRuntime::Containerd),
    ("libpod_parent", ContainerRuntime::Podman),
    ("buildkit", ContainerRuntime::Buildkit),
    ("garden", ContainerRuntime::Garden),
];

/// The container or service that the path of a cgroup names; `None` if it names
/// none.
///
/// Recognizes the cgroups of both drivers of container runtimes: `cgroupfs`, as in
/// `/docker/ID` and `/kubepods/burstable/podUID/ID`, and `systemd`, as in
/// `docker-ID.scope` and `kubepods-burstable-podUID.slice`; and those of LXC
/// (`lxc.payload.NAME`), systemd-nspawn (`machine-NAME.scope`), ECS and others.
pub(crate) fn container_of(path: &str) -> Option<Container> {
    let mut found = Container::default();
    let mut parts = path.split('/').enumerate().peekable();
    let mut parent = "";
    while let Some((depth, part)) = parts.next() {
        if let Some(uid) = pod_uid(part) {
            found.pod_uid = Some(uid);
        }
        let may_be_lxc = depth == 2 || found.runtime == Some(ContainerRuntime::Lxc);
        let next = parts.peek().map(|(_, part)| *part);
        if let Some((runtime, id)) = container(part, parent)
            .map(|(runtime, id)| (runtime, Cow::Borrowed(id)))
            .or_else(|| lxc(part, parent, may_be_lxc))
            .or_else(|| machine(part, parent, next))
        {
            found.runtime = runtime;
            found.container_id = Some(id.into());
        }
        if is_unit(part) {
            found.unit = Some(part.into());
        }
        parent = part;
    }
    (found != Container::default()).then_some(found)
}

/// The runtime and the ID of the OCI container that a path component names.
fn container<'p>(part: &'p str, parent: &str) -> Option<(Option<ContainerRuntime>, &'p str)> {
    let runtime_of = |table: &[(&str, ContainerRuntime)], word: &str| {
        let row = table.iter().find(|(known, _)| *known == word);
        row.map(|&(_, runtime)| runtime)
    };
    let name = part.strip_suffix(".scope").unwrap_or(part);
    let by_parent = runtime_of(PARENTS, parent);
    if is_container_id(name) || by_parent.is_some_and(|runtime| is_id_of(runtime, name)) {
        return Some((by_parent, name));
    }
    if is_task_container_id(name) {
        return Some((None, name));
    }
    if let Some((rest, id)) = name.rsplit_once(':') {
        let (_, word) = rest.rsplit_once(':')?;
        let runtime = runtime_of(WORDS, word);
        let is_id = is_container_id(id) || runtime.is_some_and(|runtime| is_id_of(runtime, id));
        return is_id.then_some((runtime, id));
    }
    let (word, id) = name.rsplit_once('-')?;
    let runtime = runtime_of(WORDS, word);
    if runtime.is_some_and(|runtime| is_id_of(runtime, id)) {
        return Some((runtime, id));
    }
    // conmon is the monitor of a container of CRI-O or Podman, and not in it. An
    // unknown prefix, as of an OCI runtime without an engine, is accepted in the
    // name of a scope only.
    let is_scope = name.len() < part.len();
    let is_other = runtime.is_some() || is_scope && !word.contains("conmon");
    (is_other && is_container_id(id)).then_some((runtime, id))
}

/// Whether a text is a container ID: 64 hexadecimal digits.
fn is_container_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(is_hexadecimal)
}

const fn is_hexadecimal(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Whether a text is an ID in the format of a runtime with another format.
fn is_id_of(runtime: ContainerRuntime, text: &str) -> bool {
    match runtime {
        // 25 digits to the base of 36.
        ContainerRuntime::Buildkit => {
            text.len() == 25
                && text
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z'))
        }
        // A UUID, whose last field Diego truncates to four digits.
        ContainerRuntime::Garden => {
            let fields: Vec<&str> = text.split('-').collect();
            matches!(fields.last().map(|last| last.len()), Some(4 | 12))
                && fields.len() == 5
                && [8, 4, 4, 4]
                    .iter()
                    .zip(&fields)
                    .all(|(&length, field)| field.len() == length)
                && text
                    .bytes()
                    .all(|byte| byte == b'-' || is_hexadecimal(byte))
        }
        _ => false,
    }
}

/// Whether a text is a container ID of AWS Fargate: the ID of the task, 32
/// hexadecimal digits, and a number.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate-response.html>
fn is_task_container_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(task, number)| {
        task.len() == 32
            && task.bytes().all(is_hexadecimal)
            && (1..=10).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

type Named<'p> = (Option<ContainerRuntime>, Cow<'p, str>);

/// A container of LXC: `lxc.payload.NAME` since 4.0, before `lxc.payload/NAME`,
/// and `lxc/NAME` at the root or in another container. Its monitor is in
/// `lxc.monitor`.
fn lxc<'p>(part: &'p str, parent: &str, may_be_lxc: bool) -> Option<Named<'p>> {
    let name = match part.strip_prefix("lxc.payload.") {
        Some(name) => name,
        None if parent == "lxc.payload" => part,
        None if parent == "lxc" && may_be_lxc => part,
        None => return None,
    };
    (!name.is_empty()).then_some((Some(ContainerRuntime::Lxc), Cow::Borrowed(name)))
}

/// A container that is registered with systemd-machined, as
/// `machine.slice/machine-NAME.scope`, or a service of `systemd-nspawn@`.
///
/// libvirt registers its virtual machines there too, under the name of their
/// driver, and its LXC containers. The monitor of a container is in a cgroup
/// `supervisor` beside its `payload`.
fn machine<'p>(part: &'p str, parent: &str, next: Option<&str>) -> Option<Named<'p>> {
    if next == Some("supervisor") {
        return None;
    }
    let service = part
        .strip_prefix("systemd-nspawn@")
        .and_then(|name| name.strip_suffix(".service"));
    if let Some(name) = service {
        let name = unescaped(name);
        return (!name.is_empty()).then_some((Some(ContainerRuntime::SystemdNspawn), name));
    }
    let name = part
        .strip_prefix("machine-")
        .filter(|_| parent == "machine.slice")?
        .strip_suffix(".scope")?;
    let name = unescaped(name);
    // libvirt: DRIVER-ID-NAME; the ID changes at each start.
    let mut fields = name.splitn(3, '-');
    if let (Some(driver), Some(number), Some(domain)) =
        (fields.next(), fields.next(), fields.next())
        && number.parse::<u32>().is_ok()
    {
        match driver {
            "lxc" => return Some((Some(ContainerRuntime::Lxc), domain.to_owned().into())),
            "qemu" | "ch" | "xen" => return None,
            _ => {}
        }
    }
    (!name.is_empty()).then_some((Some(ContainerRuntime::SystemdNspawn), name))
}

/// A name in the name of a unit, where `\x2d` is a hyphen: systemd.unit(5).
fn unescaped(name: &str) -> Cow<'_, str> {
    if !name.contains('\\') {
        return Cow::Borrowed(name);
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = rest.strip_prefix(b"\\x").and_then(|digits| {
            let digits = str::from_utf8(digits.get(..2)?).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(escaped.unwrap_or(byte));
        rest = match escaped {
            Some(_) => rest.get(4..).unwrap_or_default(),
            None => after,
        };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The UID of the pod that a path component names: `podUID`, or
/// `kubepods-burstable-podUID.slice`, where a hyphen of the identifier is an
/// underscore, because systemd separates nested slices by hyphens.
fn pod_uid(part: &str) -> Option<Arc<str>> {
    // A container that was created by the wrong driver has the name of its slice.
    let part = part.split(':').next()?;
    let uid = match part.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod")?.1,
        None => part.strip_prefix("pod")?,
    };
    // The UID of a static pod is the digest of its file.
    let is_uid = match uid.len() {
        36 => uid.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => matches!(byte, b'-' | b'_'),
            _ => byte.is_ascii_hexdigit(),
        }),
        32 => uid.bytes().all(|byte| byte.is_ascii_hexdigit()),
        _ => false,
    };
    is_uid.then(|| uid.replace('_', "-").into())
}

fn is_unit(part: &str) -> bool {
    [".service", ".scope"].iter().any(|suffix| {
        part.strip_suffix(suffix)
            .is_some_and(|name| !name.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    const UID_IN_SLICE: &str = "f81d4fae_7dec_11d0_a765_00a0c91e6bf6";

    /// The runtime, whether there is a container ID, whether there is a pod UID,
    /// and the unit.
    type Told = (Option<ContainerRuntime>, bool, bool, Option<String>);

    fn told(path: &str) -> Told {
        let path = path
            .replace("SLICE", UID_IN_SLICE)
            .replace("UID", UID)
            .replace("ID", ID);
        let found = container_of(&path).unwrap_or_default();
        if let Some(id) = &found.container_id {
            assert_eq!(&**id, ID);
        }
        if let Some(uid) = &found.pod_uid {
            assert_eq!(&**uid, UID);
        }
        let unit = found.unit.map(|unit| unit.replace(ID, "ID"));
        (
            found.runtime,
            found.container_id.is_some(),
            found.pod_uid.is_some(),
            unit,
        )
    }

    #[test]
    fn each_runtime_is_told_with_both_drivers() {
        use ContainerRuntime::{Containerd, CriO, Docker, Podman};
        let unit = |name: &str| Some(name.to_owned());
        let cases: &[(&str, Told)] = &[
            ("/docker/ID", (Some(Docker), true, false, None)),
            (
                "/system.slice/docker-ID.scope",
                (Some(Docker), true, false, unit("docker-ID.scope")),
            ),
            ("/kubepods/burstable/podUID/ID", (None, true, true, None)),
            (
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podSLICE.slice/cri-containerd-ID.scope",
                (
                    Some(Containerd),
                    true,
                    true,
                    unit("cri-containerd-ID.scope"),
                ),
            ),
            (
                "/system.slice/containerd.service/kubepods-burstable-podSLICE.slice:cri-containerd:ID",
                (Some(Containerd), true, true, unit("containerd.service")),
            ),
            (
                "/system.slice/nerdctl-ID.scope",
                (Some(Containerd), true, false, unit("nerdctl-ID.scope")),
            ),
            (
                "/kubepods.slice/kubepods-podSLICE.slice/crio-ID.scope/container",
                (Some(CriO), true, true, unit("crio-ID.scope")),
            ),
            (
                "/kubepods/besteffort/podUID/crio-ID",
                (Some(CriO), true, true, None),
            ),
            (
                "/machine.slice/libpod-ID.scope/container",
                (Some(Podman), true, false, unit("libpod-ID.scope")),
            ),
            (
                "/libpod_parent/libpod-ID",
                (Some(Podman), true, false, None),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
                (Some(Podman), true, false, unit("libpod-ID.scope")),
            ),
            ("/ecs/task/ID", (None, true, false, None)),
            ("/ecs/cluster/task/ID", (None, true, false, None)),
            (
                "/ecstasks.slice/ecstasks-0123.slice/docker-ID.scope",
                (Some(Docker), true, false, unit("docker-ID.scope")),
            ),
            ("/system.slice:docker:ID", (Some(Docker), true, false, None)),
            ("/k8s.io/ID", (Some(Containerd), true, false, None)),
            (
                "/system.slice/kubepods-podSLICE.slice:crio:ID",
                (Some(CriO), true, true, None),
            ),
            (
                "/system.slice:nerdctl:ID",
                (Some(Containerd), true, false, None),
            ),
            (
                "/machine.slice:libpod:ID",
                (Some(Podman), true, false, None),
            ),
            ("/system.slice:runsc:ID", (None, true, false, None)),
            (
                "/system.slice/runsc-ID.scope",
                (None, true, false, unit("runsc-ID.scope")),
            ),
        ];
        for (path, expected) in cases {
            assert_eq!(&told(path), expected, "{path}");
        }
    }

    #[test]
    fn a_container_with_a_name_or_another_identifier_is_told_by_it() {
        use ContainerRuntime::{Buildkit, Garden, Lxc, SystemdNspawn};
        let task = "cd189a933e5849daa93386466019ab50";
        let fargate = format!("{task}-2495160603");
        let step = "m0k8p1ol3k2t3n0u9w3k5xj7s";
        let handle = "c60a4f7d-a2d5-4e50-5e4b-1a7a";
        let cases: &[(String, Option<ContainerRuntime>, &str)] = &[
            (format!("/ecs/{task}/{fargate}"), None, &fargate),
            ("/lxc.payload.web".into(), Some(Lxc), "web"),
            (
                "/lxc.payload.web-1/system.slice/cron.service".into(),
                Some(Lxc),
                "web-1",
            ),
            ("/lxc.payload/web".into(), Some(Lxc), "web"),
            ("/lxc/101/ns/init.scope".into(), Some(Lxc), "101"),
            (
                "/lxc.payload.outer/lxc.payload.inner".into(),
                Some(Lxc),
                "inner",
            ),
            ("/lxc/outer/lxc/inner".into(), Some(Lxc), "inner"),
            (
                "/machine.slice/machine-deb.scope/payload/init.scope".into(),
                Some(SystemdNspawn),
                "deb",
            ),
            (
                r"/machine.slice/machine-deb\x2d12.scope".into(),
                Some(SystemdNspawn),
                "deb-12",
            ),
            (
                "/machine.slice/systemd-nspawn@deb.service/payload".into(),
                Some(SystemdNspawn),
                "deb",
            ),
            (
                r"/machine.slice/machine-lxc\x2d4242\x2dweb.scope".into(),
                Some(Lxc),
                "web",
            ),
            (format!("/buildkit/{step}"), Some(Buildkit), step),
            (
                format!("/system.slice:buildkit:{step}"),
                Some(Buildkit),
                step,
            ),
            (format!("/garden/{handle}"), Some(Garden), handle),
        ];
        for (path, runtime, id) in cases {
            let found = container_of(path).unwrap_or_default();
            assert_eq!(found.runtime, *runtime, "{path}");
            assert_eq!(found.container_id.as_deref(), Some(*id), "{path}");
        }
    }

    #[test]
    fn what_watches_a_container_and_a_virtual_machine_are_no_containers() {
        for path in [
            "/lxc.monitor.web",
            "/lxc.monitor/web",
            "/a/lxc/web",
            "/lxc",
            "/lxc.payload.",
            "/machine.slice/machine-deb.scope/supervisor",
            "/machine.slice/systemd-nspawn@deb.service/supervisor",
            r"/machine.slice/machine-qemu\x2d1\x2dvm.scope",
            "/system.slice/machine-x.scope",
            "/machine.slice/machine-.scope",
            "/buildkit/short",
            "/garden/a-b-c-d-e",
            "/ecs/cd189a933e5849daa93386466019ab50",
            "/a:b",
            ":::",
        ] {
            let found = container_of(path).unwrap_or_default();
            assert_eq!(found.container_id, None, "{path}");
        }
    }

    #[test]
    fn of_nested_containers_the_innermost_is_told() {
        use ContainerRuntime::{Containerd, Docker};
        let outer = "f".repeat(64);
        let path = format!(
            "/docker/{outer}/kubelet.slice/kubelet-kubepods-podSLICE.slice/cri-containerd-ID.scope"
        );
        assert_eq!(told(&path).0, Some(Containerd));
        let path = format!("/docker/{outer}/docker/ID");
        assert_eq!(told(&path), (Some(Docker), true, false, None));
    }

    #[test]
    fn a_service_is_told_by_its_unit() {
        for (path, unit) in [
            ("/system.slice/cron.service", "cron.service"),
            (
                "/user.slice/user-0.slice/session-2.scope",
                "session-2.scope",
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.service",
                "app-x.service",
            ),
            ("/init.scope", "init.scope"),
        ] {
            assert_eq!(told(path), (None, false, false, Some(unit.to_owned())));
        }
    }

    #[test]
    fn a_monitor_is_in_no_container() {
        let conmon = told("/machine.slice/libpod-conmon-ID.scope");
        assert_eq!((conmon.0, conmon.1), (None, false));
        let conmon = told("/kubepods.slice/crio-conmon-ID.scope");
        assert_eq!((conmon.0, conmon.1), (None, false));
    }

    #[test]
    fn a_path_that_tells_nothing_gives_nothing() {
        for path in [
            "",
            "/",
            "/system.slice",
            "/.service",
            "/docker",
            "/docker/0123",
            "/kubepods/burstable/pod",
            "/kubepods/podXYZ",
            "/a/pod12345678",
        ] {
            assert_eq!(container_of(path), None, "{path}");
        }
        // No runtime writes upper case.
        assert_eq!(
            container_of(&format!("/docker/{}", ID.to_uppercase())),
            None
        );
    }

    proptest! {
        #[test]
        fn hostile_text_does_no_harm(path in "\\PC*") {
            if let Some(found) = container_of(&path) {
                // Names may be escaped in the path.
                for part in [&found.container_id, &found.unit].into_iter().flatten() {
                    prop_assert!(path.contains(&**part) || path.contains('\\'));
                }
            }
        }

        #[test]
        fn parts_of_real_paths_in_any_order_do_no_harm(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "/", "docker", "docker-", ":cri-containerd:", ":crio:", ":", "-pod", "pod", UID,
                    UID_IN_SLICE, ID, ".scope", ".slice", ".service", "crio-", "é", "kubepods",
                ]),
                0..12,
            ),
        ) {
            let path = parts.concat();
            let found = container_of(&path).unwrap_or_default();
            prop_assert!(found.runtime.is_none() || found.container_id.is_some());
            if let Some(id) = &found.container_id {
                prop_assert_eq!(&**id, ID);
            }
            if let Some(uid) = &found.pod_uid {
                prop_assert_eq!(&**uid, UID);
            }
        }
    }
}
