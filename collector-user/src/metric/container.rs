use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Choice, Record};

/// The container or service of a process, from the path of its cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Record)]
pub struct Container {
    /// Container runtime, where the path names it.
    #[field(1)]
    pub runtime: Option<ContainerRuntime>,
    /// Container ID, of the innermost container: mostly 64 hexadecimal digits; the name for LXC and
    /// systemd-nspawn.
    #[field(2)]
    pub container_id: Option<Arc<str>>,
    /// Kubernetes pod UID, as the API server has it, of the innermost pod.
    #[field(3)]
    pub pod_uid: Option<Arc<str>>,
    /// Innermost systemd unit: a service or a scope.
    #[field(4)]
    pub unit: Option<Arc<str>>,
}

/// A container runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Choice)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerRuntime {
    /// Docker.
    #[value(1)]
    Docker,
    /// containerd, by Kubernetes or by nerdctl.
    #[value(2)]
    Containerd,
    /// CRI-O.
    #[serde(rename = "cri-o")]
    #[value(3)]
    CriO,
    /// Podman.
    #[value(4)]
    Podman,
    /// LXC, Incus or LXD.
    #[value(5)]
    Lxc,
    /// systemd-nspawn.
    #[value(6)]
    SystemdNspawn,
    /// BuildKit: a build step.
    #[value(7)]
    Buildkit,
    /// Garden, of Cloud Foundry.
    #[value(8)]
    Garden,
}

impl ContainerRuntime {
    /// Its name in JSON.
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
