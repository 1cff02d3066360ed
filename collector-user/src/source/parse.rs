use std::{borrow::Cow, fmt, str};

/// The content of a file is malformed.
///
/// The parser does not know the path; the [`Tick`](super::Tick) that read the file adds it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    line: Option<usize>,
    field: Cow<'static, str>,
    problem: ParseProblem,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ParseProblem {
    Missing,
    /// What was found, cut to a maximum length, and what was expected.
    Invalid {
        found: String,
        expected: &'static str,
    },
}

impl ParseError {
    /// A mandatory field is missing.
    pub fn missing(field: impl Into<Cow<'static, str>>) -> Self {
        Self {
            line: None,
            field: field.into(),
            problem: ParseProblem::Missing,
        }
    }

    /// The value of a field is invalid.
    pub fn invalid(
        field: impl Into<Cow<'static, str>>,
        found: &[u8],
        expected: &'static str,
    ) -> Self {
        let shown = &found[..found.len().min(32)];
        Self {
            line: None,
            field: field.into(),
            problem: ParseProblem::Invalid {
                found: String::from_utf8_lossy(shown).into_owned(),
                expected,
            },
        }
    }

    /// Adds the line number, from 1.
    #[must_use]
    pub fn in_line(self, line: usize) -> Self {
        Self {
            line: Some(line),
            ..self
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        match &self.problem {
            ParseProblem::Missing => write!(f, "{} is missing", self.field),
            ParseProblem::Invalid { found, expected } => {
                write!(f, "{} is {found:?}, not {expected}", self.field)
            }
        }
    }
}

/// The lines of a file, without line ends, and their numbers from 1.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let empty = bytes.is_empty();
    body.split(|&byte| byte == b'\n')
        .filter(move |_| !empty)
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

/// The words of a line, separated by white space.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

/// A decimal number; `None` if the word is not one, or out of range.
pub(super) fn number<T: str::FromStr>(word: &[u8]) -> Option<T> {
    // `FromStr` accepts a leading `+`, which the kernel never writes.
    if word.first() == Some(&b'+') {
        return None;
    }
    str::from_utf8(word).ok()?.parse().ok()
}

/// A decimal number, or an error that names the field.
pub(super) fn field<T: str::FromStr>(
    name: &'static str,
    word: Option<&[u8]>,
) -> Result<T, ParseError> {
    let word = word.ok_or_else(|| ParseError::missing(name))?;
    number(word).ok_or_else(|| ParseError::invalid(name, word, "a number in range"))
}

/// The text of a one-line file, without surrounding white space, and without the NUL that
/// ends a property of the device tree. Bytes that are not UTF-8 become U+FFFD.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    let end = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    String::from_utf8_lossy(bytes[..end].trim_ascii())
}

/// The value after `key` and `:` of a line `key: value`.
pub(super) fn key_value(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_has_no_lines() {
        assert_eq!(lines(b"").count(), 0);
        assert_eq!(lines(b"\n").count(), 1);
        assert_eq!(lines(b"a\nb\n").count(), 2);
        assert_eq!(lines(b"a\nb").last(), Some((2, &b"b"[..])));
    }

    #[test]
    fn numbers_that_the_kernel_would_not_write_are_refused() {
        assert_eq!(number::<u64>(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number::<u64>(b"18446744073709551616"), None);
        assert_eq!(number::<u64>(b"+1"), None);
        assert_eq!(number::<u64>(b""), None);
        assert_eq!(number::<u64>(b"\xff"), None);
    }

    #[test]
    fn an_error_has_line_and_field_and_limits_the_shown_value() {
        let error = ParseError::invalid("user", &[b'x'; 1000], "a number").in_line(3);
        let shown = error.to_string();
        assert!(shown.starts_with("line 3: user is \"xxx"), "{shown}");
        assert!(shown.len() < 100, "{shown}");
    }
}
