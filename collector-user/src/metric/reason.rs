use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Why there is no reading of a metric, or no newer one.
///
/// It is displayed as one sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The collection failed, with this error.
    Failed(Arc<str>),
    /// The collector panicked, with this message, which may be empty.
    Panicked(Arc<str>),
    /// The collection has not ended within its deadline, and still runs.
    Hung(Duration),
    /// The collection has not begun within its deadline, since no thread could
    /// be made for it.
    NotStarted(Duration),
    /// The agent may not read a source that the metric needs.
    NoPermission(Arc<str>),
    /// This host, or this backend, does not have the metric.
    Unsupported(Arc<str>),
    /// No collection was made within the requested age.
    NotCollected,
    /// Nothing was published within the requested age.
    NotPublished,
}

const PANICKED: &str = "the collector panicked";

impl Reason {
    /// One word for the kind of the reason, as in the JSON of a sample:
    /// `failed`, `panicked`, `hung`, `not_started`, `no_permission`,
    /// `unsupported`, `not_collected`, `not_published`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Panicked(_) => "panicked",
            Self::Hung(_) => "hung",
            Self::NotStarted(_) => "not_started",
            Self::NoPermission(_) => "no_permission",
            Self::Unsupported(_) => "unsupported",
            Self::NotCollected => "not_collected",
            Self::NotPublished => "not_published",
        }
    }

    /// The deadline that passed, if that is the reason.
    pub const fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Hung(deadline) | Self::NotStarted(deadline) => Some(*deadline),
            _ => None,
        }
    }

    /// The reason of this kind and text; a kind that this build does not know
    /// is a failure with the same text.
    pub(super) fn from_parts(kind: &str, text: &str, deadline: Option<Duration>) -> Self {
        match (kind, deadline) {
            ("panicked", _) => {
                let message = text.strip_prefix(PANICKED).unwrap_or(text);
                Self::Panicked(message.strip_prefix(": ").unwrap_or(message).into())
            }
            ("hung", Some(deadline)) => Self::Hung(deadline),
            ("not_started", Some(deadline)) => Self::NotStarted(deadline),
            ("no_permission", _) => Self::NoPermission(text.into()),
            ("unsupported", _) => Self::Unsupported(text.into()),
            ("not_collected", _) => Self::NotCollected,
            ("not_published", _) => Self::NotPublished,
            _ => Self::Failed(text.into()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) | Self::NoPermission(text) | Self::Unsupported(text) => {
                f.write_str(text)
            }
            Self::Panicked(text) if text.is_empty() => f.write_str(PANICKED),
            Self::Panicked(text) => write!(f, "{PANICKED}: {text}"),
            Self::Hung(deadline) => write!(f, "the collection has not ended after {deadline:?}"),
            Self::NotStarted(deadline) => write!(
                f,
                "the collection has not begun after {deadline:?}: no thread could be made for it"
            ),
            Self::NotCollected => f.write_str("it was not collected since"),
            Self::NotPublished => f.write_str("nothing was published since"),
        }
    }
}

/// A failure with this text.
impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Self::Failed(text.into())
    }
}

/// A failure with this text.
impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self::Failed(text.into())
    }
}

/// As `{"kind","text"}`, and `"deadline_ns"` if one has passed.
impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Parts {
            kind: self.kind().into(),
            text: self.to_string(),
            deadline_ns: self.deadline().map(|deadline| deadline.as_nanos() as u64),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts = Parts::deserialize(deserializer)?;
        if parts.kind.is_empty() {
            return Err(D::Error::custom("the kind of the reason is empty"));
        }
        let deadline = parts.deadline_ns.map(Duration::from_nanos);
        Ok(Self::from_parts(&parts.kind, &parts.text, deadline))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Reason")]
struct Parts {
    kind: Box<str>,
    text: String,
    // Formats that do not describe themselves cannot leave a field out.
    #[serde(default)]
    deadline_ns: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_kind_and_text_and_comes_back_from_them() {
        let second = Duration::from_secs(1);
        for (reason, kind, text) in [
            (Reason::from("no"), "failed", "no"),
            (
                Reason::Panicked("oh".into()),
                "panicked",
                "the collector panicked: oh",
            ),
            (
                Reason::Panicked("".into()),
                "panicked",
                "the collector panicked",
            ),
            (
                Reason::Hung(second),
                "hung",
                "the collection has not ended after 1s",
            ),
            (
                Reason::NotStarted(second),
                "not_started",
                "the collection has not begun after 1s: no thread could be made for it",
            ),
            (Reason::NoPermission("no".into()), "no_permission", "no"),
            (Reason::Unsupported("no".into()), "unsupported", "no"),
            (
                Reason::NotCollected,
                "not_collected",
                "it was not collected since",
            ),
            (
                Reason::NotPublished,
                "not_published",
                "nothing was published since",
            ),
        ] {
            assert_eq!((reason.kind(), &*reason.to_string()), (kind, text));
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), reason);
            let bytes = postcard::to_allocvec(&reason).unwrap();
            assert_eq!(postcard::from_bytes::<Reason>(&bytes).unwrap(), reason);
        }
        let newer: Reason = serde_json::from_str(r#"{"kind":"frozen","text":"cold"}"#).unwrap();
        assert_eq!(newer, Reason::from("cold"));
    }
}
