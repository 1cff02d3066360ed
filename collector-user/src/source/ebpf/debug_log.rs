//! The log of programs that were built to write one.

use aya::Ebpf;
use aya_log::EbpfLogger;

/// Takes lines out of the ring buffer of `aya-log`.
pub(super) struct DebugLog(EbpfLogger<ToTracing>);

impl DebugLog {
    /// The log of these programs; `None` for the usual ones, which have none.
    ///
    /// To be called before the programs are loaded, and kept: they use its
    /// map.
    pub(super) fn of(ebpf: &mut Ebpf) -> Option<Self> {
        EbpfLogger::init_with_logger(ebpf, ToTracing).ok().map(Self)
    }

    /// Logs the lines that have come since the last time.
    pub(super) fn flush(&mut self) {
        self.0.flush();
    }
}

/// `aya-log` speaks to the `log` crate, and this project to `tracing`.
struct ToTracing;

impl log::Log for ToTracing {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        tracing::enabled!(tracing::Level::DEBUG)
    }

    fn log(&self, record: &log::Record<'_>) {
        tracing::debug!("{}", record.args());
    }

    fn flush(&self) {}
}
