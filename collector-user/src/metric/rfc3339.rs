//! Times on the wall clock, for `#[serde(with = …)]`: RFC 3339 in formats that
//! people read, seconds and nanoseconds since 1970 in others.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// Serializes a time. One before 1970 or after 9999 is the nearest that is not.
pub(crate) fn serialize<S: Serializer>(
    time: &SystemTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = since.min(LAST);
    if serializer.is_human_readable() {
        return serializer.collect_str(&humantime::format_rfc3339_nanos(UNIX_EPOCH + since));
    }
    (since.as_secs(), since.subsec_nanos()).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<SystemTime, D::Error> {
    if deserializer.is_human_readable() {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        return humantime::parse_rfc3339(&text).map_err(D::Error::custom);
    }
    let (seconds, nanos) = <(u64, u32)>::deserialize(deserializer)?;
    let since = (nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos));
    since
        .and_then(|since| UNIX_EPOCH.checked_add(since))
        .ok_or_else(|| D::Error::custom("the time is out of range"))
}

/// A time that may be unknown.
pub(crate) mod option {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Time(#[serde(with = "super")] SystemTime);

    #[expect(clippy::ref_option, reason = "serde gives a field by reference")]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<SystemTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Time).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SystemTime>, D::Error> {
        Ok(Option::<Time>::deserialize(deserializer)?.map(|time| time.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_cannot_be_written_is_the_nearest_that_can() {
        let text = |time| serialize(&time, serde_json::value::Serializer).unwrap();
        let before = text(UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(before, "1970-01-01T00:00:00.000000000Z");
        let after = text(UNIX_EPOCH + LAST * 2);
        assert_eq!(after, "9999-12-31T23:59:59.000000000Z");
    }
}
