/// Clock ticks per second in files of `/proc`: `USER_HZ` of the kernel.
///
/// It is part of the ABI, and 100 on every supported architecture, independent of the
/// kernel's `HZ`. `sysconf(_SC_CLK_TCK)` returns the same value; a constant is right for a
/// captured tree, too.
/// <https://github.com/torvalds/linux/blob/v6.12/include/asm-generic/param.h#L8>
pub const CLOCK_TICKS_PER_SECOND: u64 = 100;

/// Clock ticks in nanoseconds, saturating.
pub const fn ticks_to_ns(ticks: u64) -> u64 {
    ticks.saturating_mul(1_000_000_000 / CLOCK_TICKS_PER_SECOND)
}
