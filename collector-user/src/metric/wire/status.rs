use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::metric::{Reason, Status, rfc3339};

/// The fields of a status, as they stand among those of a sample.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Status")]
pub(super) struct StatusFields {
    pub(super) status: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) age_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason_kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deadline_ns: Option<u64>,
    #[serde(
        default,
        with = "rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) since: Option<SystemTime>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Name {
    Ok,
    Stale,
    Unavailable,
}

/// The status in formats that do not describe themselves.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Status")]
enum Ordered {
    Ok,
    Stale {
        age_ns: u64,
        reason: Reason,
    },
    Unavailable {
        reason: Reason,
        #[serde(with = "rfc3339")]
        since: SystemTime,
    },
}

impl From<&Status> for StatusFields {
    fn from(status: &Status) -> Self {
        let reason = status.reason();
        let (status, age_ns, since) = match status {
            Status::Ok => (Name::Ok, None, None),
            Status::Stale { age, .. } => (Name::Stale, Some(age.as_nanos() as u64), None),
            Status::Unavailable { since, .. } => (Name::Unavailable, None, Some(*since)),
        };
        Self {
            status,
            age_ns,
            reason: reason.map(Reason::to_string),
            reason_kind: reason.map(|reason| reason.kind().to_owned()),
            deadline_ns: reason
                .and_then(Reason::deadline)
                .map(|deadline| deadline.as_nanos() as u64),
            since,
        }
    }
}

impl StatusFields {
    pub(super) fn into_status<E: serde::de::Error>(self) -> Result<Status, E> {
        let kind = self.reason_kind.unwrap_or_default();
        let deadline = self.deadline_ns.map(Duration::from_nanos);
        let reason = self
            .reason
            .map(|text| Reason::from_parts(&kind, &text, deadline));
        let reason = || reason.ok_or_else(|| E::missing_field("reason"));
        Ok(match self.status {
            Name::Ok => Status::Ok,
            Name::Stale => Status::Stale {
                age: Duration::from_nanos(self.age_ns.ok_or_else(|| E::missing_field("age_ns"))?),
                reason: reason()?,
            },
            Name::Unavailable => Status::Unavailable {
                since: self.since.ok_or_else(|| E::missing_field("since"))?,
                reason: reason()?,
            },
        })
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return StatusFields::from(self).serialize(serializer);
        }
        let ordered = match self.clone() {
            Self::Ok => Ordered::Ok,
            Self::Stale { age, reason } => Ordered::Stale {
                age_ns: age.as_nanos() as u64,
                reason,
            },
            Self::Unavailable { reason, since } => Ordered::Unavailable { reason, since },
        };
        ordered.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return StatusFields::deserialize(deserializer)?.into_status();
        }
        Ok(match Ordered::deserialize(deserializer)? {
            Ordered::Ok => Self::Ok,
            Ordered::Stale { age_ns, reason } => Self::Stale {
                age: Duration::from_nanos(age_ns),
                reason,
            },
            Ordered::Unavailable { reason, since } => Self::Unavailable { reason, since },
        })
    }
}
