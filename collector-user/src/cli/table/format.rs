//! Human-readable numbers and texts.

/// Shown for an unknown value.
pub(super) const UNKNOWN: &str = "-";

/// Bytes with three significant digits, small numbers exactly: `1.50G`,
/// `1500B`.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "K", "M", "G", "T", "P", "E"];
    if bytes < 10_000 {
        return format!("{bytes}B");
    }
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match value {
        ..9.995 => format!("{value:.2}{}", UNITS[unit]),
        ..99.95 => format!("{value:.1}{}", UNITS[unit]),
        _ => format!("{value:.0}{}", UNITS[unit]),
    }
}

/// A duration with three significant digits: `1.50ms`, `2h05m`.
pub(super) fn seconds(ns: u64) -> String {
    let value = ns as f64;
    let three = |value: f64, unit: &str| match value {
        ..9.995 => format!("{value:.2}{unit}"),
        ..99.95 => format!("{value:.1}{unit}"),
        _ => format!("{value:.0}{unit}"),
    };
    match ns {
        0 => "0".to_owned(),
        1..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => three(value / 1e3, "us"),
        1_000_000..1_000_000_000 => three(value / 1e6, "ms"),
        1_000_000_000..60_000_000_000 => three(value / 1e9, "s"),
        _ => long(ns / 1_000_000_000),
    }
}

fn long(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}m{seconds:02}s"),
        (0, _) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

/// A rate or a share with one decimal place.
pub(super) fn tenths(value: Option<f64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| format!("{value:.1}"))
}

/// A rate without decimal places.
pub(super) fn whole(value: Option<f64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| format!("{value:.0}"))
}

/// A value formatted by `show`, if it is known.
pub(super) fn known<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), show)
}

/// A text from outside, without terminal escapes.
pub(super) fn harmless(text: &str) -> String {
    collector::text::harmless(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits_and_a_unit() {
        assert_eq!(bytes(0), "0B");
        assert_eq!(bytes(999), "999B");
        assert_eq!(bytes(1500), "1500B");
        assert_eq!(bytes(10_240), "10.0K");
        assert_eq!(bytes(1536 * 1024), "1.50M");
        assert_eq!(bytes(100 << 30), "100G");
        assert_eq!(bytes(u64::MAX), "16.0E");
    }

    #[test]
    fn durations_have_three_digits_and_a_unit() {
        assert_eq!(seconds(0), "0");
        assert_eq!(seconds(12), "12ns");
        assert_eq!(seconds(1_500_000), "1.50ms");
        assert_eq!(seconds(59_900_000_000), "59.9s");
        assert_eq!(seconds(7_500_000_000_000), "2h05m");
        assert_eq!(seconds(200_000_000_000_000), "2d07h");
    }

    #[test]
    fn a_hostile_name_cannot_steer_the_terminal() {
        assert_eq!(
            harmless("a\x1b[2Jb\nc\u{202e}d"),
            "a\\x1b[2Jb\\nc\\u{202e}d"
        );
    }
}
