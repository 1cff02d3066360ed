//! Another eBPF object than the one that is built in.

use std::path::PathBuf;

/// For those who work on the programs: see `cargo xtask build-ebpf --help`.
const VARIABLE: &str = "COLLECTOR_EBPF_OBJECT";

/// The object that the environment names. Only builds for development load it,
/// and none does with rights that the user who set the variable has not got.
pub(super) fn from_environment() -> Option<PathBuf> {
    let path = std::env::var_os(VARIABLE)?;
    if !cfg!(debug_assertions) {
        tracing::warn!("{VARIABLE} is ignored: only a build for development loads another object");
        return None;
    }
    if !is_trusted(&std::fs::read("/proc/self/auxv").unwrap_or_default()) {
        tracing::warn!("{VARIABLE} is ignored: this process has more rights than its user");
        return None;
    }
    Some(path.into())
}

/// Whether an auxiliary vector says that the environment is that of a user who
/// has the rights of this process, by `AT_SECURE`.
///
/// The kernel sets it where a program gains rights by its file, capabilities
/// included: <https://elixir.bootlin.com/linux/v6.12/source/security/commoncap.c#L931>.
/// Where it cannot be read, the answer is no: the file then belongs to root.
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
    fn only_a_vector_that_says_so_is_trusted() {
        assert!(is_trusted(&auxv(&[[6, 4096], [23, 0], [0, 0]])));
        assert!(!is_trusted(&auxv(&[[6, 4096], [23, 1], [0, 0]])));
        assert!(!is_trusted(&auxv(&[[6, 23], [0, 0]])));
        assert!(!is_trusted(&[]));
    }

    #[test]
    fn a_test_gained_no_rights() {
        assert!(is_trusted(&std::fs::read("/proc/self/auxv").unwrap()));
    }
}
