//! `/proc/loadavg` and `/proc/uptime`.

use procfs_core::{FromRead as _, LoadAverage};

use crate::{
    metric::LoadAvg,
    source::parse::{self, ParseError},
};

/// Parses `/proc/loadavg`: `0.20 0.18 0.12 1/80 11206`.
///
/// # Errors
///
/// When a field is missing or invalid.
pub fn parse(bytes: &[u8]) -> Result<LoadAvg, ParseError> {
    let invalid = || ParseError::invalid("loadavg", bytes, "three loads, tasks and a PID");
    let load = LoadAverage::from_read(bytes).map_err(|_error| invalid())?;
    let average = |load: f32| {
        // `f32` accepts `nan`, `inf` and negative numbers, which the kernel never writes.
        // It writes two decimals, to which the rounding restores the value.
        let is_valid = load.is_finite() && load >= 0.0;
        is_valid.then(|| (f64::from(load) * 100.0).round() / 100.0)
    };
    Ok(LoadAvg {
        load_1m: average(load.one).ok_or_else(invalid)?,
        load_5m: average(load.five).ok_or_else(invalid)?,
        load_15m: average(load.fifteen).ok_or_else(invalid)?,
        runnable_tasks: load.cur.into(),
        tasks: load.max.into(),
        last_pid: Some(load.latest_pid.into()),
        uptime_ns: None,
    })
}

/// Parses the first field of `/proc/uptime`, the seconds since boot, in nanoseconds.
///
/// The kernel writes two decimals, lxcfs one; any number of them is accepted.
///
/// # Errors
///
/// When the field is not a number of seconds.
pub fn parse_uptime_ns(bytes: &[u8]) -> Result<u64, ParseError> {
    let word = parse::words(bytes)
        .next()
        .ok_or(ParseError::missing("uptime"))?;
    let invalid = || ParseError::invalid("uptime", word, "a number of seconds");
    let point = word.iter().position(|&byte| byte == b'.');
    let (seconds, decimals) = match point {
        Some(point) => (&word[..point], &word[point + 1..]),
        None => (word, &b""[..]),
    };
    if point.is_some() && decimals.is_empty() || !decimals.iter().all(u8::is_ascii_digit) {
        return Err(invalid());
    }
    let seconds: u64 = parse::number(seconds).ok_or_else(invalid)?;
    let places = decimals.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanoseconds = places.fold(0, |ns, &digit| ns * 10 + u64::from(digit - b'0'));
    Ok(seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_loadavg_is_parsed() {
        let load = parse(b"0.20 0.18 0.12 1/80 11206\n").unwrap();
        assert_eq!(
            (load.load_1m, load.load_5m, load.load_15m),
            (0.20, 0.18, 0.12)
        );
        assert_eq!((load.runnable_tasks, load.tasks), (1, 80));
        assert_eq!(load.last_pid, Some(11206));
    }

    #[test]
    fn a_load_keeps_its_two_decimals() {
        for hundredths in (0..10_000_000u32).step_by(997) {
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            let load = parse(format!("{text} 0.00 0.00 1/2 3").as_bytes()).unwrap();
            assert_eq!(
                load.load_1m.to_string(),
                text.parse::<f64>().unwrap().to_string()
            );
        }
    }

    #[test]
    fn an_invalid_load_is_rejected() {
        for bad in [
            &b""[..],
            b"nan 0 0 1/2 3",
            b"inf 0 0 1/2 3",
            b"-1 0 0 1/2 3",
            b"0 0 0 12 3",
            b"0 0 0",
            b"0 0 0 1/2",
            b"0 0 0 1/99999999999 3",
            b"\xff\xff",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn uptime_has_any_number_of_decimals() {
        for (text, ns) in [
            (&b"350735.47 234388.90\n"[..], 350_735_470_000_000),
            (b"144686.0 142649.0\n", 144_686_000_000_000),
            (b"144686 142649\n", 144_686_000_000_000),
            (b"1.5", 1_500_000_000),
            (b"1.123456789123", 1_123_456_789),
            (b"18446744073709551615.99", u64::MAX),
        ] {
            assert_eq!(parse_uptime_ns(text), Ok(ns));
        }
        for bad in [
            &b""[..],
            b"1.",
            b".",
            b".50",
            b"1.-5",
            b"-1.5",
            b"x.50",
            b"1.5x",
        ] {
            assert!(parse_uptime_ns(bad).is_err(), "{bad:?}");
        }
    }
}
