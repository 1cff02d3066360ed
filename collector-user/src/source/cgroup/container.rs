use std::sync::Arc;

use crate::metric::{Container, ContainerRuntime};

/// How the runtimes name the cgroup of a container, before its identifier.
/// Without such a word the runtime is not known.
const NAMES: &[(&str, ContainerRuntime)] = &[
    // The driver `systemd`: docker-ID.scope.
    ("docker-", ContainerRuntime::Docker),
    ("cri-containerd-", ContainerRuntime::Containerd),
    ("nerdctl-", ContainerRuntime::Containerd),
    // With both drivers: crio-ID.scope, crio-ID.
    ("crio-", ContainerRuntime::CriO),
    ("libpod-payload-", ContainerRuntime::Podman),
    ("libpod-", ContainerRuntime::Podman),
];

/// What a path of a cgroup tells of the container or the service that it is
/// for; `None` if that is nothing.
///
/// Takes both ways in which runtimes make cgroups: by themselves (`cgroupfs`),
/// as `/docker/ID` and `/kubepods/burstable/podUID/ID`, and through systemd, as
/// `docker-ID.scope` and `kubepods-burstable-podUID.slice`.
pub fn container_of(path: &str) -> Option<Container> {
    let mut found = Container::default();
    let mut parent = "";
    for part in path.split('/') {
        if let Some(uid) = pod_uid(part) {
            found.pod_uid = Some(uid);
        }
        if let Some((runtime, id)) = container(part, parent) {
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

/// The runtime and the identifier of the container that one part of a path
/// names.
fn container<'p>(part: &'p str, parent: &str) -> Option<(Option<ContainerRuntime>, &'p str)> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    if is_container_id(name) {
        let runtime = match parent {
            "docker" => Some(ContainerRuntime::Docker),
            "libpod_parent" => Some(ContainerRuntime::Podman),
            _ => None,
        };
        return Some((runtime, name));
    }
    // containerd that was told a systemd path and makes the cgroup itself:
    // kubepods-podUID.slice:cri-containerd:ID.
    if let Some((_, id)) = name.rsplit_once(":cri-containerd:") {
        return is_container_id(id).then_some((Some(ContainerRuntime::Containerd), id));
    }
    NAMES.iter().find_map(|(prefix, runtime)| {
        let id = name.strip_prefix(prefix)?;
        is_container_id(id).then_some((Some(*runtime), id))
    })
}

fn is_container_id(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The pod that one part of a path names: `podUID`, or
/// `kubepods-burstable-podUID.slice`, where a hyphen of the identifier is an
/// underscore, since systemd takes a hyphen for a step down.
fn pod_uid(part: &str) -> Option<Arc<str>> {
    // A container that is made by the wrong driver is named after its slice.
    let part = part.split(':').next()?;
    let uid = match part.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod")?.1,
        None => part.strip_prefix("pod")?,
    };
    // Those that the kubelet starts from files have the digest of the file.
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

    /// Runtime, whether there is the identifier, whether there is the pod, and
    /// the unit.
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
        ];
        for (path, expected) in cases {
            assert_eq!(&told(path), expected, "{path}");
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
        // Upper case is not what a runtime writes.
        assert_eq!(
            container_of(&format!("/docker/{}", ID.to_uppercase())),
            None
        );
    }

    proptest! {
        #[test]
        fn hostile_text_does_no_harm(path in "\\PC*") {
            if let Some(found) = container_of(&path) {
                for part in [&found.container_id, &found.unit].into_iter().flatten() {
                    prop_assert!(path.contains(&**part));
                }
            }
        }

        #[test]
        fn parts_of_real_paths_in_any_order_do_no_harm(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "/", "docker", "docker-", ":cri-containerd:", "-pod", "pod", UID,
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
