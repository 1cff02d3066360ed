//! `/proc/loadavg` and `/proc/uptime`.

use crate::{
    metric::LoadAvg,
    source::parse::{self, ParseError},
};

/// Parses `/proc/loadavg`: `0.20 0.18 0.12 1/80 11206`.
///
/// # Errors
///
/// When one of the first four parts is missing or is not what it should be.
pub fn parse(bytes: &[u8]) -> Result<LoadAvg, ParseError> {
    let mut words = parse::words(bytes);
    let mut load = |name: &'static str| -> Result<f64, ParseError> {
        let word = words.next();
        let load: f64 = parse::field(name, word)?;
        // Rust takes `nan` and `inf` for numbers; a kernel never writes them.
        if load.is_finite() && load >= 0.0 {
            Ok(load)
        } else {
            Err(ParseError::bad(name, word.unwrap_or_default(), "a load"))
        }
    };
    let (load_1m, load_5m, load_15m) = (load("load")?, load("load")?, load("load")?);
    let tasks = words.next().ok_or(ParseError::missing("tasks"))?;
    let mut parts = tasks.splitn(2, |&byte| byte == b'/');
    Ok(LoadAvg {
        load_1m,
        load_5m,
        load_15m,
        runnable_tasks: parse::field("runnable tasks", parts.next())?,
        tasks: parse::field("tasks", parts.next())?,
        last_pid: words.next().and_then(parse::number),
        uptime_ns: None,
    })
}

/// Parses `/proc/uptime`: seconds since the machine started. The kernel writes
/// two decimal places; lxcfs, which mounts a file of its own there, writes one,
/// and others may write any number of them.
///
/// # Errors
///
/// When the first part is no such number.
pub fn parse_uptime_ns(bytes: &[u8]) -> Result<u64, ParseError> {
    let word = parse::words(bytes)
        .next()
        .ok_or(ParseError::missing("uptime"))?;
    let bad = || ParseError::bad("uptime", word, "a number of seconds");
    let point = word.iter().position(|&byte| byte == b'.');
    let (seconds, decimals) = match point {
        Some(point) => (&word[..point], &word[point + 1..]),
        None => (word, &b""[..]),
    };
    if point.is_some() && decimals.is_empty() || !decimals.iter().all(u8::is_ascii_digit) {
        return Err(bad());
    }
    let seconds: u64 = parse::number(seconds).ok_or_else(bad)?;
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
    fn loads_and_tasks_are_found_in_their_places() {
        let load = parse(b"0.20 0.18 0.12 1/80 11206\n").unwrap();
        assert_eq!((load.load_1m, load.load_15m), (0.20, 0.12));
        assert_eq!((load.runnable_tasks, load.tasks), (1, 80));
        assert_eq!(load.last_pid, Some(11206));
    }

    #[test]
    fn what_is_no_load_is_refused() {
        for bad in [
            &b""[..],
            b"nan 0 0 1/2 3",
            b"inf 0 0 1/2 3",
            b"-1 0 0 1/2 3",
            b"0 0 0 12 3",
            b"0 0 0",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn uptime_has_any_number_of_decimal_places() {
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
