use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a reading was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// Accounted in the kernel by eBPF programs.
    Ebpf,
    /// Read from `/proc` and `/sys`.
    Procfs,
    /// Read by netlink.
    Netlink,
    /// Something else, by its name.
    Other(BackendName),
}

/// The name of a backend that has no variant of its own in [`Backend`]: at
/// most 15 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackendName {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl BackendName {
    /// The bytes of the longest name.
    pub const MAX: usize = 15;

    /// This name, cut to the length that a name may have.
    pub fn cut(name: &str) -> Self {
        let len = name.floor_char_boundary(Self::MAX);
        let mut bytes = [0; Self::MAX];
        bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
        Self {
            bytes,
            len: len as u8,
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        // It was cut at the boundary of a character.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Debug for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl Backend {
    /// The backend of this name: one of the variants, else
    /// [`Other`](Self::Other), with a name that is cut to
    /// [`BackendName::MAX`] bytes.
    pub fn named(name: &str) -> Self {
        match name {
            "ebpf" => Self::Ebpf,
            "procfs" => Self::Procfs,
            "netlink" => Self::Netlink,
            other => Self::Other(BackendName::cut(other)),
        }
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ebpf => "ebpf",
            Self::Procfs => "procfs",
            Self::Netlink => "netlink",
            Self::Other(name) => name.as_str(),
        }
    }
}

impl FromStr for Backend {
    type Err = std::convert::Infallible;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(Self::named(name))
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Backend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Backend {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::named(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_variant_is_kept_as_far_as_it_fits() {
        for (name, kept) in [
            ("ebpf", "ebpf"),
            ("snmp", "snmp"),
            ("a-rather-long-name", "a-rather-long-n"),
            ("aaaaaaaaaaaaaaé", "aaaaaaaaaaaaaa"),
        ] {
            assert_eq!(Backend::named(name).as_str(), kept);
        }
        assert_eq!(Backend::named("ebpf"), Backend::Ebpf);
        let json = serde_json::to_string(&Backend::named("snmp")).unwrap();
        assert_eq!(json, r#""snmp""#);
        let backend: Backend = serde_json::from_str(&json).unwrap();
        assert_eq!(backend.to_string(), "snmp");
    }
}
