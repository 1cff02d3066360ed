use crate::source::parse::{self, ParseError};

/// The content of `/proc/PID/schedstat`, which is about one task: the thread-group leader,
/// or the thread of `/proc/PID/task/TID`.
///
/// The file needs `CONFIG_SCHED_INFO`.
/// <https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedstat {
    /// On-CPU time.
    pub cpu_ns: u64,
    /// Run-queue wait.
    pub runqueue_ns: u64,
    /// Number of timeslices.
    pub timeslices: u64,
}

/// Parses `/proc/PID/schedstat`.
///
/// # Errors
///
/// When the file is not three numbers.
pub fn parse_schedstat(bytes: &[u8]) -> Result<Schedstat, ParseError> {
    let mut words = parse::words(bytes);
    Ok(Schedstat {
        cpu_ns: parse::field("on-CPU time", words.next())?,
        runqueue_ns: parse::field("run-queue wait", words.next())?,
        timeslices: parse::field("number of timeslices", words.next())?,
    })
}

/// The content of `/proc/PID/io`, summed over all threads, including exited ones. A read
/// needs permission to ptrace the process.
///
/// <https://docs.kernel.org/filesystems/proc.html#proc-pid-io-display-the-io-accounting-fields>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Io {
    /// Bytes fetched from the storage layer.
    pub read_bytes: u64,
    /// Bytes sent to the storage layer, counted when pages become dirty.
    pub write_bytes: u64,
}

/// Parses `/proc/PID/io`.
///
/// # Errors
///
/// When one of the two lines is missing or not a number.
pub fn parse_io(bytes: &[u8]) -> Result<Io, ParseError> {
    let mut read = None;
    let mut written = None;
    for (line_number, line) in parse::lines(bytes) {
        let (into, name) = match parse::key_value(line) {
            Some((b"read_bytes", _)) => (&mut read, "read_bytes"),
            Some((b"write_bytes", _)) => (&mut written, "write_bytes"),
            _ => continue,
        };
        let value = parse::key_value(line).map(|(_, value)| value);
        *into = Some(parse::field(name, value).map_err(|error| error.in_line(line_number))?);
    }
    Ok(Io {
        read_bytes: read.ok_or(ParseError::missing("read_bytes"))?,
        write_bytes: written.ok_or(ParseError::missing("write_bytes"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedstat_is_three_numbers() {
        let schedstat = parse_schedstat(b"73180 49803 2\n").unwrap();
        assert_eq!(schedstat.cpu_ns, 73180);
        assert_eq!(schedstat.runqueue_ns, 49803);
        assert_eq!(schedstat.timeslices, 2);
        let error = parse_schedstat(b"73180 49803").unwrap_err();
        assert_eq!(error.to_string(), "number of timeslices is missing");
    }

    #[test]
    fn cancelled_write_bytes_is_not_write_bytes() {
        let io = parse_io(
            b"rchar: 6990\nwchar: 14\nsyscr: 12\nsyscw: 1\nread_bytes: 4096\n\
              write_bytes: 8192\ncancelled_write_bytes: 1\n",
        )
        .unwrap();
        assert_eq!(io.read_bytes, 4096);
        assert_eq!(io.write_bytes, 8192);
        assert!(parse_io(b"read_bytes: 1\n").is_err());
        assert!(parse_io(b"read_bytes: -1\nwrite_bytes: 2\n").is_err());
    }
}
