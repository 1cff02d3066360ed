/// Logs a line to user space through `aya-log`, in objects that are built for
/// that: `cargo xtask build-ebpf --debug-log`. In all others it is nothing,
/// since a line costs more than the rest of its program.
macro_rules! debug_log {
    ($ctx:expr, $($argument:tt)+) => {
        #[cfg(feature = "debug-log")]
        aya_log_ebpf::debug!($ctx, $($argument)+);
    };
}

pub(crate) use debug_log;
