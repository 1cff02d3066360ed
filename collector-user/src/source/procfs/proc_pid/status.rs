use crate::source::parse::{self, ParseError};

/// Fields of `/proc/PID/status` that `/proc/PID/stat` does not have.
///
/// <https://docs.kernel.org/filesystems/proc.html#process-specific-subdirectories>,
/// table 1-2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The effective user ID.
    pub uid: Option<u32>,
    /// Resident set size; `None` for a kernel thread.
    pub rss_bytes: Option<u64>,
    /// Voluntary context switches of the thread-group leader.
    pub voluntary_switches: Option<u64>,
    /// Involuntary context switches of the thread-group leader.
    pub involuntary_switches: Option<u64>,
}

/// Parses `/proc/PID/status`.
///
/// # Errors
///
/// When the value of a known line is not a number.
pub fn parse_status(bytes: &[u8]) -> Result<Status, ParseError> {
    let mut status = Status::default();
    for (line_number, line) in parse::lines(bytes) {
        let Some((key, value)) = parse::key_value(line) else {
            continue;
        };
        let mut words = parse::words(value);
        let located = |error: ParseError| error.in_line(line_number);
        match key {
            // Real, effective, saved, file system.
            b"Uid" => {
                status.uid = Some(parse::field("effective Uid", words.nth(1)).map_err(located)?);
            }
            b"VmRSS" => {
                let kib: u64 = parse::field("VmRSS", words.next()).map_err(located)?;
                status.rss_bytes = Some(kib.saturating_mul(1024));
            }
            b"voluntary_ctxt_switches" => {
                status.voluntary_switches =
                    Some(parse::field("voluntary_ctxt_switches", words.next()).map_err(located)?);
            }
            b"nonvoluntary_ctxt_switches" => {
                status.involuntary_switches = Some(
                    parse::field("nonvoluntary_ctxt_switches", words.next()).map_err(located)?,
                );
            }
            _ => {}
        }
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_user_is_the_second_of_four() {
        let status = parse_status(
            b"Name:\tsudo\nUid:\t1000\t0\t0\t0\nVmRSS:\t    1528 kB\n\
              voluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t3\n",
        )
        .unwrap();
        assert_eq!(status.uid, Some(0));
        assert_eq!(status.rss_bytes, Some(1528 * 1024));
        assert_eq!(status.voluntary_switches, Some(7));
        assert_eq!(status.involuntary_switches, Some(3));
    }

    #[test]
    fn missing_lines_are_unknown_and_invalid_values_are_errors() {
        assert_eq!(parse_status(b"").unwrap(), Status::default());
        let error = parse_status(b"Name:\tx\nUid:\t1\tnobody\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: effective Uid is \"nobody\", not a number in range"
        );
    }

    #[test]
    fn comm_cannot_inject_a_line() {
        // The kernel escapes a line feed in `comm` as `\n`, two characters.
        let status = parse_status(b"Name:\tx\\nUid:\t9\t9\nUid:\t1\t2\t3\t4\n").unwrap();
        assert_eq!(status.uid, Some(2));
    }
}
