use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

use collector::text::is_harmful;
use serde::Serialize;
use serde_json::{Serializer, ser::Formatter};

use super::error::Failure;

/// Standard output, buffered. What was not flushed is lost without complaint
/// when it is dropped after a reader has gone.
pub(super) struct Output {
    writer: BufWriter<StdoutLock<'static>>,
    terminal: bool,
}

/// How much fits on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Columns; `None` is without bound.
    pub(super) width: Option<u16>,
    /// Lines; `None` is without bound.
    pub(super) height: Option<u16>,
}

impl Size {
    /// Of what is not a terminal.
    pub(super) const UNBOUNDED: Self = Self {
        width: None,
        height: None,
    };
}

impl Output {
    pub(super) fn new() -> Self {
        let stdout = io::stdout();
        Self {
            terminal: stdout.is_terminal(),
            writer: BufWriter::with_capacity(64 * 1024, stdout.lock()),
        }
    }

    /// Whether a person may be looking at it.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// The size of the terminal now: it changes when its window does.
    pub(super) fn size(&self) -> Size {
        if !self.terminal {
            return Size::UNBOUNDED;
        }
        let size = terminal_size::terminal_size();
        Size {
            width: size.map(|(width, _)| width.0),
            height: size.map(|(_, height)| height.0),
        }
    }

    /// What a line may take where it shall be read at a glance, also when it
    /// goes to a journal.
    pub(super) fn line_size(&self) -> Size {
        const JOURNAL: u16 = 120;
        Size {
            width: self.size().width.or(Some(JOURNAL)),
            height: None,
        }
    }

    /// One object on one line, at once.
    pub(super) fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let mut json = Serializer::with_formatter(&mut self.writer, Harmless);
        value.serialize(&mut json)?;
        self.writer.write_all(b"\n")?;
        self.writer.flush()?;
        Ok(())
    }

    /// Puts a text where the one before it stood.
    pub(super) fn redraw(&mut self, text: &str) -> Result<(), Failure> {
        self.writer.write_all(b"\x1b[H")?;
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            self.writer.write_all(line.as_bytes())?;
            self.writer.write_all(b"\x1b[K")?;
            if lines.peek().is_some() {
                self.writer.write_all(b"\r\n")?;
            }
        }
        self.writer.write_all(b"\x1b[J")?;
        self.writer.flush()?;
        Ok(())
    }

    /// Empties the terminal.
    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        self.writer.write_all(b"\x1b[2J\x1b[H")?;
        Ok(())
    }
}

/// JSON in which a terminal finds nothing that steers it: what of a string would
/// is escaped, which means the same.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, character)) = rest.char_indices().find(|(_, c)| is_harmful(*c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + character.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_nothing_that_steers_a_terminal_and_means_the_same() {
        let text = "a\x1b\u{9b}31m\n\u{202e}\u{e0041}\u{fffd}é";
        let mut json = Vec::new();
        let mut serializer = Serializer::with_formatter(&mut json, Harmless);
        text.serialize(&mut serializer).unwrap();
        let json = String::from_utf8(json).unwrap();
        assert!(!json.chars().any(is_harmful), "{json:?}");
        assert!(json.contains("\\u202e\\udb40\\udc41\u{fffd}é"), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
