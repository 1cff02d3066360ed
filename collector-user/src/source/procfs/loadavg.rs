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

/// Parses `/proc/uptime`: seconds, with two digits after the point, since the
/// machine started.
///
/// # Errors
///
/// When the first part is no such number.
pub fn parse_uptime_ns(bytes: &[u8]) -> Result<u64, ParseError> {
    let word = parse::words(bytes)
        .next()
        .ok_or(ParseError::missing("uptime"))?;
    let bad = || ParseError::bad("uptime", word, "seconds with two digits after the point");
    let point = word.iter().position(|&byte| byte == b'.').ok_or_else(bad)?;
    let (seconds, hundredths) = (&word[..point], &word[point + 1..]);
    if hundredths.len() != 2 {
        return Err(bad());
    }
    let seconds: u64 = parse::number(seconds).ok_or_else(bad)?;
    let hundredths: u64 = parse::number(hundredths).ok_or_else(bad)?;
    Ok(seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(hundredths * 10_000_000))
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
    fn uptime_is_kept_to_the_hundredth() {
        assert_eq!(
            parse_uptime_ns(b"350735.47 234388.90\n"),
            Ok(350_735_470_000_000)
        );
        for bad in [&b""[..], b"1", b"1.5", b".50", b"1.-5", b"x.50"] {
            assert!(parse_uptime_ns(bad).is_err(), "{bad:?}");
        }
    }
}
