/// Whether this runs in a virtual machine of `cargo xtask test-vm`, where nothing else runs
/// and kernel settings may be changed.
pub fn is_guest() -> bool {
    std::env::var_os("COLLECTOR_TEST_VM").is_some()
}

/// The first value, or the second under emulation, which is ten to twenty times slower.
pub fn here_or_emulated<T>(here: T, emulated: T) -> T {
    match std::env::var("COLLECTOR_TEST_VM").as_deref() {
        Ok("tcg") => emulated,
        _ => here,
    }
}
