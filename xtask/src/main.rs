//! Builds, loads, tests and measures `collector`.
fn main() {}
