use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::heap::{OwnedBytes, owned_bytes};

/// What the path of a cgroup tells of the container, or of the service, that
/// the processes in it belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Container {
    /// The container runtime, where the path names it.
    pub runtime: Option<ContainerRuntime>,
    /// The identifier of the container, of nested ones the innermost: mostly 64
    /// hexadecimal digits; of LXC and systemd-nspawn its name.
    pub container_id: Option<Arc<str>>,
    /// The identifier of the Kubernetes pod, as the API server has it. Of
    /// nested ones the innermost.
    pub pod_uid: Option<Arc<str>>,
    /// The innermost systemd unit: a service or a scope.
    pub unit: Option<Arc<str>>,
}

/// A container runtime that names its cgroups after itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerRuntime {
    /// Docker.
    Docker,
    /// containerd, by Kubernetes or by nerdctl.
    Containerd,
    /// CRI-O.
    #[serde(rename = "cri-o")]
    CriO,
    /// Podman.
    Podman,
    /// LXC, Incus or LXD.
    Lxc,
    /// systemd-nspawn.
    SystemdNspawn,
    /// BuildKit, for a step of a build.
    Buildkit,
    /// Garden, of Cloud Foundry.
    Garden,
}

impl ContainerRuntime {
    /// Its name, as JSON has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
            Self::SystemdNspawn => "systemd-nspawn",
            Self::Buildkit => "buildkit",
            Self::Garden => "garden",
        }
    }
}

impl OwnedBytes for Container {
    fn owned_bytes(&self) -> usize {
        owned_bytes!(self; container_id, pod_uid, unit)
    }
}

impl OwnedBytes for Arc<Container> {
    fn owned_bytes(&self) -> usize {
        size_of::<Container>() + 2 * size_of::<usize>() + Container::owned_bytes(self)
    }
}
