//! Times on the wall clock, for `#[serde(with = …)]`: RFC 3339 in formats that
//! people read, seconds and nanoseconds since 1970 in others.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

pub(crate) fn serialize<S: Serializer>(
    time: &SystemTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        return serializer.collect_str(&humantime::format_rfc3339_nanos(*time));
    }
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
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
