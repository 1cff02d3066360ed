use std::{
    fmt::Write as _,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use collector::config::LogFormat;

use super::pending::Work;

/// The file that the log is written to.
pub(super) trait Out: Write + Send {
    /// Whether a write of one line would not block.
    fn is_ready(&self) -> bool;
}

/// Writes lines, and reports lost ones once writing works again.
pub(super) struct Writer {
    out: Box<dyn Out>,
    format: LogFormat,
    /// Lost lines that have not been reported yet.
    unreported: u64,
    /// Whether the last line was written partially.
    is_partial: bool,
    /// Lost lines, in total.
    lost: Arc<AtomicU64>,
}

impl Writer {
    pub(super) fn new(out: impl Out + 'static, format: LogFormat, lost: Arc<AtomicU64>) -> Self {
        Self {
            out: Box::new(out),
            format,
            unreported: 0,
            is_partial: false,
            lost,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.out.is_ready()
    }

    pub(super) fn has_unreported(&self) -> bool {
        self.unreported > 0
    }

    pub(super) fn write(&mut self, work: Work) {
        self.unreported += work.dropped;
        if self.unreported > 0 {
            let report = report(self.unreported, self.format);
            if self.line(report.as_bytes()).is_ok() {
                self.unreported = 0;
            }
        }
        if let Some(text) = work.text
            && self.line(&text).is_err()
        {
            self.unreported += 1;
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes a line with as few system calls as possible, so that it stays whole if
    /// other processes write to the same file.
    fn line(&mut self, text: &[u8]) -> io::Result<()> {
        if self.is_partial {
            self.out.write_all(b"\n")?;
            self.is_partial = false;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let error = match self.out.write(rest) {
                Ok(written) if written > 0 => {
                    rest = &rest[written..];
                    continue;
                }
                Ok(_) => io::ErrorKind::WriteZero.into(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            self.is_partial |= rest.len() < text.len();
            return Err(error);
        }
        Ok(())
    }
}

/// The line that reports lost lines.
fn report(lost: u64, format: LogFormat) -> String {
    const TARGET: &str = "collector::log";
    let time = humantime::format_rfc3339_micros(SystemTime::now());
    let message = format!("{lost} log lines were lost: they could not be written");
    let mut line = match format {
        LogFormat::Text => format!("{time}  WARN {TARGET}: {message}"),
        LogFormat::Json => serde_json::json!({
            "timestamp": time.to_string(),
            "level": "WARN",
            "message": message,
            "lost": lost,
            "target": TARGET,
        })
        .to_string(),
    };
    let _ = line.write_char('\n');
    line
}
