use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

/// Where a sample was taken: host, boot and agent. Samples of one agent share
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Origin {
    /// The host name.
    pub host: Arc<str>,
    /// The machine ID of the host (`/etc/machine-id`).
    pub machine_id: Option<Arc<str>>,
    /// The boot ID (`/proc/sys/kernel/random/boot_id`), new with each boot:
    /// times on `CLOCK_MONOTONIC` are comparable within one boot only.
    pub boot_id: Option<Arc<str>>,
    /// The instance of the agent, 32 random hexadecimal digits, new at each
    /// start. Within one instance, the sequence of a metric only grows; another
    /// instance starts it again.
    pub instance: Arc<str>,
    /// The version of the readings' fields: see [`Origin::SCHEMA_VERSION`].
    pub schema_version: u32,
}

impl Origin {
    /// The version of the readings' fields in this build. Fields are added
    /// without a new version, and never renamed or reused. It grows when a
    /// field comes to mean something else.
    pub const SCHEMA_VERSION: u32 = 1;

    /// A new instance of an agent on a host.
    pub fn new(
        host: impl Into<Arc<str>>,
        machine_id: Option<Arc<str>>,
        boot_id: Option<Arc<str>>,
    ) -> Self {
        Self {
            host: host.into(),
            machine_id,
            boot_id,
            instance: new_instance(),
            schema_version: Self::SCHEMA_VERSION,
        }
    }

    /// The origin of samples of which nothing is known.
    pub fn unknown() -> Arc<Self> {
        static UNKNOWN: LazyLock<Arc<Origin>> = LazyLock::new(|| {
            Arc::new(Origin {
                host: "unknown".into(),
                machine_id: None,
                boot_id: None,
                instance: "".into(),
                schema_version: Origin::SCHEMA_VERSION,
            })
        });
        Arc::clone(&UNKNOWN)
    }

    /// Whether times on `CLOCK_MONOTONIC` of both can be compared: both are of
    /// the same boot, or of the same instance where the boot is unknown.
    pub fn is_same_boot(&self, other: &Self) -> bool {
        match (&self.boot_id, &other.boot_id) {
            (Some(one), Some(other)) => one == other,
            _ => self.instance == other.instance,
        }
    }
}

fn new_instance() -> Arc<str> {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            // Where a filter of system calls forbids it: what the standard
            // library seeds its maps with.
            Err(_) => return from_hasher(),
        }
    }
    format!("{:032x}", u128::from_ne_bytes(bytes)).into()
}

fn from_hasher() -> Arc<str> {
    use std::hash::{BuildHasher as _, RandomState};
    let half = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", half(), half()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_is_another_instance_of_the_same_boot() {
        let start = || Origin::new("host", None, Some("boot".into()));
        let (first, second) = (start(), start());
        assert_eq!(first.instance.len(), 32);
        assert_ne!(first.instance, second.instance);
        assert_ne!(from_hasher(), from_hasher());
        assert!(first.is_same_boot(&second));
        assert!(!first.is_same_boot(&Origin::new("host", None, Some("next".into()))));
        let no_boot = Origin::new("host", None, None);
        assert!(no_boot.is_same_boot(&no_boot) && !no_boot.is_same_boot(&first));
    }
}
