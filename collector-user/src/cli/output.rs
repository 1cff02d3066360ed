use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

use collector::text::is_harmful;
use rustix::termios::tcgetwinsize;
use serde::Serialize;
use serde_json::{Serializer, ser::Formatter};

use super::error::Failure;

/// Standard output, buffered. A drop discards what was not flushed if the reader has
/// closed the pipe.
pub(super) struct Output {
    writer: BufWriter<StdoutLock<'static>>,
    terminal: bool,
}

/// The size of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Columns; `None` is unlimited.
    pub(super) width: Option<u16>,
    /// Lines; `None` is unlimited.
    pub(super) height: Option<u16>,
}

impl Size {
    /// Unlimited: the output is not a terminal.
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

    /// Whether it is a terminal.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// The current size of the terminal, which changes with its window.
    pub(super) fn size(&self) -> Size {
        if !self.terminal {
            return Size::UNBOUNDED;
        }
        // 0 is unknown, as on a serial line.
        let size = tcgetwinsize(io::stdout()).ok();
        Size {
            width: size.map(|size| size.ws_col).filter(|width| *width > 0),
            height: size.map(|size| size.ws_row).filter(|height| *height > 0),
        }
    }

    /// The size for short tables: a journal gets lines of limited width, too.
    pub(super) fn line_size(&self) -> Size {
        const JOURNAL: u16 = 120;
        Size {
            width: self.size().width.or(Some(JOURNAL)),
            height: None,
        }
    }

    /// Writes one object on one line, and flushes.
    pub(super) fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let mut json = Serializer::with_formatter(&mut self.writer, Harmless);
        value.serialize(&mut json)?;
        self.writer.write_all(b"\n")?;
        self.writer.flush()?;
        Ok(())
    }

    /// Draws a text over the previous one.
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

    /// Clears the terminal.
    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        self.writer.write_all(b"\x1b[2J\x1b[H")?;
        Ok(())
    }
}

/// JSON without terminal control characters: they are escaped in strings, which does not
/// change the value.
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
    fn json_contains_no_control_character_and_has_the_same_value() {
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
