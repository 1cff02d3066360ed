//! The log of programs that were built with `debug-log`.

use aya::Ebpf;
use aya_log::EbpfLogger;

/// Takes lines out of the ring buffer of `aya-log`.
pub(in crate::source::bpf) struct DebugLog(EbpfLogger<ToTracing>);

impl DebugLog {
    /// The log of these programs; `None` if they have none.
    ///
    /// To be called before the programs are loaded, and kept, because they use
    /// its map.
    pub(in crate::source::bpf) fn of(ebpf: &mut Ebpf) -> Option<Self> {
        EbpfLogger::init_with_logger(ebpf, ToTracing).ok().map(Self)
    }

    /// Logs the lines that were written since the last call.
    pub(in crate::source::bpf) fn flush(&mut self) {
        self.0.flush();
    }
}

/// `aya-log` logs to the `log` crate, and this project to `tracing`.
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
