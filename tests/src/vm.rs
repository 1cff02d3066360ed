/// Whether this runs in a virtual machine of `cargo xtask test-vm`, where
/// nothing else runs, and settings may be changed.
pub fn is_guest() -> bool {
    std::env::var_os("COLLECTOR_TEST_VM").is_some()
}

/// How much of something is done: the first where the CPU is real, the second
/// where it is emulated, ten to twenty times slower, and a guest has some
/// minutes for all its tests.
pub fn here_or_emulated<T>(here: T, emulated: T) -> T {
    match std::env::var("COLLECTOR_TEST_VM").as_deref() {
        Ok("tcg") => emulated,
        _ => here,
    }
}
