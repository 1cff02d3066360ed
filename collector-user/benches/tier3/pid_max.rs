use std::{fs, io};

const PATH: &str = "/proc/sys/kernel/pid_max";

/// A raised `kernel.pid_max`, which is restored when this is dropped.
#[derive(Debug)]
pub(crate) struct PidMax {
    /// The value to be restored.
    before: Option<u64>,
}

impl PidMax {
    /// Raises `kernel.pid_max` if it is lower.
    pub(crate) fn at_least(wanted: u64) -> io::Result<Self> {
        let now: u64 = fs::read_to_string(PATH)?
            .trim()
            .parse()
            .map_err(io::Error::other)?;
        if now >= wanted {
            return Ok(Self { before: None });
        }
        fs::write(PATH, wanted.to_string())?;
        Ok(Self { before: Some(now) })
    }
}

impl Drop for PidMax {
    fn drop(&mut self) {
        if let Some(before) = self.before
            && let Err(error) = fs::write(PATH, before.to_string())
        {
            eprintln!("{PATH} cannot be set back to {before}: {error}");
        }
    }
}
