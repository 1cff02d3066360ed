use crate::source::parse::{self, ParseError};

/// A list of CPU or NUMA node numbers in the kernel's format: `0-3,8`. An empty file is an
/// empty list.
///
/// <https://docs.kernel.org/core-api/printk-formats.html#bitmap-and-its-derivatives-such-as-cpumask-and-nodemask>
///
/// # Errors
///
/// When a part is neither a number nor a range, or a number is above the maximum of all
/// architectures, so that a hostile list cannot exhaust memory.
pub fn parse_cpu_list(bytes: &[u8]) -> Result<Vec<u32>, ParseError> {
    const MAX: u32 = 65_536;
    let mut numbers = Vec::new();
    let bytes = bytes.trim_ascii();
    if bytes.is_empty() {
        return Ok(numbers);
    }
    for part in bytes.split(|&byte| byte == b',') {
        let invalid =
            || ParseError::invalid("a part of the list", part, "a number or a range of numbers");
        let dash = part.iter().position(|&byte| byte == b'-');
        let (first, last) = dash.map_or((part, part), |at| (&part[..at], &part[at + 1..]));
        let first: u32 = parse::number(first).ok_or_else(invalid)?;
        let last: u32 = parse::number(last).ok_or_else(invalid)?;
        if first > last || last >= MAX || numbers.len() >= MAX as usize {
            return Err(invalid());
        }
        numbers.extend(first..=last);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_single_numbers_may_be_mixed() {
        assert_eq!(
            parse_cpu_list(b"0-3,8,10-11\n").unwrap(),
            [0, 1, 2, 3, 8, 10, 11]
        );
        assert_eq!(parse_cpu_list(b"0\n").unwrap(), [0]);
        assert_eq!(parse_cpu_list(b"\n").unwrap(), [0u32; 0]);
    }

    #[test]
    fn a_hostile_list_is_rejected_before_it_allocates() {
        for list in [
            &b"0-4294967295"[..],
            b"3-1",
            b"1,,2",
            b"-",
            b"a",
            b"0-65536",
            b"\xff",
        ] {
            assert!(parse_cpu_list(list).is_err(), "{list:?}");
        }
        let repeated = "0-65535,".repeat(100);
        assert!(parse_cpu_list(repeated.as_bytes()).is_err());
    }
}
