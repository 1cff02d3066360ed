/// How many clock ticks there are in a second, in what `/proc` shows.
///
/// This is the kernel's `USER_HZ`, which is part of its interface to user
/// space and 100 on every architecture that this program runs on, whatever the
/// kernel's own `HZ` is. `sysconf(_SC_CLK_TCK)` gives the same number; a
/// constant also holds for a tree that was captured on another host.
/// <https://github.com/torvalds/linux/blob/v6.12/include/asm-generic/param.h#L8>
pub const CLOCK_TICKS_PER_SECOND: u64 = 100;

/// Clock ticks as nanoseconds; the largest number there is if that would not fit.
pub const fn ticks_to_ns(ticks: u64) -> u64 {
    ticks.saturating_mul(1_000_000_000 / CLOCK_TICKS_PER_SECOND)
}
