use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

use serde::Serialize;

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
        serde_json::to_writer(&mut self.writer, value)?;
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

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
