//! Replaces the built-in eBPF object, for development.

use std::path::PathBuf;

/// The environment variable with the path of an object: see
/// `cargo xtask build-ebpf --help`.
const VARIABLE: &str = "COLLECTOR_EBPF_OBJECT";

/// The path in the environment. Only debug builds use it, and only if the process does
/// not run with more privileges than the user who set the variable.
pub(super) fn from_environment() -> Option<PathBuf> {
    let path = std::env::var_os(VARIABLE)?;
    if !cfg!(debug_assertions) {
        tracing::warn!("{VARIABLE} is ignored: only a debug build loads another object");
        return None;
    }
    if !is_trusted(&std::fs::read("/proc/self/auxv").unwrap_or_default()) {
        tracing::warn!("{VARIABLE} is ignored: this process has more privileges than its user");
        return None;
    }
    Some(path.into())
}

/// Whether `AT_SECURE` is 0 in an auxiliary vector: the process then has no more
/// privileges than the user who set its environment.
///
/// The kernel sets it if the executable gains privileges by set-user-ID or by file
/// capabilities: <https://elixir.bootlin.com/linux/v6.12/source/security/commoncap.c#L931>.
/// If the vector cannot be read the result is false.
fn is_trusted(auxv: &[u8]) -> bool {
    const WORD: usize = size_of::<usize>();
    const AT_SECURE: usize = 23;
    let (words, _) = auxv.as_chunks::<WORD>();
    let words: Vec<usize> = words
        .iter()
        .map(|word| usize::from_ne_bytes(*word))
        .collect();
    let (pairs, _) = words.as_chunks::<2>();
    pairs
        .iter()
        .any(|[key, value]| (*key, *value) == (AT_SECURE, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auxv(pairs: &[[usize; 2]]) -> Vec<u8> {
        let words = pairs.iter().flatten();
        words.flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn only_a_vector_with_at_secure_0_is_trusted() {
        assert!(is_trusted(&auxv(&[[6, 4096], [23, 0], [0, 0]])));
        assert!(!is_trusted(&auxv(&[[6, 4096], [23, 1], [0, 0]])));
        assert!(!is_trusted(&auxv(&[[6, 23], [0, 0]])));
        assert!(!is_trusted(&[]));
    }

    #[test]
    fn a_test_has_no_additional_privileges() {
        assert!(is_trusted(&std::fs::read("/proc/self/auxv").unwrap()));
    }
}
