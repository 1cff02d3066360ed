//! Why the kernel refuses a program or the object.

use std::io;

use aya::{EbpfError, programs::ProgramError};
use rustix::process::{Resource, getrlimit};

use super::LoadError;

/// A program cannot be loaded or attached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it was excluded on request")]
    Excluded,
    #[error("it is not in the object")]
    NotInObject,
    /// The verifier refused it; the lines of its log go to the debug log, except
    /// the one with the verdict.
    #[error(
        "the kernel refused it: {error}{}",
        verdict.as_ref().map(|line| format!(" ({line})")).unwrap_or_default()
    )]
    Verifier {
        #[source]
        error: io::Error,
        verdict: Option<String>,
    },
    #[error("{}", with_causes(.0))]
    Other(#[source] ProgramError),
}

impl From<ProgramError> for Refusal {
    fn from(error: ProgramError) -> Self {
        match error {
            ProgramError::LoadError {
                io_error,
                verifier_log,
            } => {
                let log = verifier_log.to_string();
                tracing::debug!(log, "the verifier refused a program");
                Self::Verifier {
                    error: io_error,
                    verdict: verdict_of(&log).map(str::to_owned),
                }
            }
            error => Self::Other(error),
        }
    }
}

/// The text of an error with its sources: the outermost says which call failed,
/// and only the innermost why.
pub(in crate::source::bpf) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors include the text of their source.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The line of the verifier's log with the verdict: the last one before the
/// statistics (`print_verification_stats` of `kernel/bpf/verifier.c`).
fn verdict_of(log: &str) -> Option<&str> {
    const STATISTICS: [&str; 4] = [
        "processed ",
        "stack depth ",
        "verification time ",
        "subprog ",
    ];
    log.lines().rev().find(|line| {
        !line.is_empty()
            && !STATISTICS
                .iter()
                .any(|statistic| line.starts_with(statistic))
    })
}

/// The error of an object that could not be loaded, and whose maps take this
/// many bytes.
pub(super) fn load_error(error: EbpfError, map_bytes: u64) -> LoadError {
    let mut source: Option<&dyn std::error::Error> = Some(&error);
    while let Some(inner) = source {
        if let Some(io_error) = inner.downcast_ref::<io::Error>()
            && io_error.kind() == io::ErrorKind::PermissionDenied
        {
            return permission_error(getrlimit(Resource::Memlock).current, map_bytes);
        }
        source = inner.source();
    }
    LoadError::Load(error)
}

/// The likely cause of `EPERM`, with this limit of locked memory.
const fn permission_error(limit: Option<u64>, map_bytes: u64) -> LoadError {
    match limit {
        Some(limit) if limit < map_bytes => LoadError::LockedMemory {
            needed: map_bytes,
            limit,
        },
        _ => LoadError::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_locked_memory_is_named_where_it_is_too_low() {
        let text = permission_error(Some(65_536), 8_000_000).to_string();
        assert!(
            text.contains("8000000 bytes are needed and 65536 allowed"),
            "{text}"
        );
        for limit in [None, Some(8_000_000)] {
            assert!(matches!(
                permission_error(limit, 8_000_000),
                LoadError::Refused
            ));
        }
    }

    #[test]
    fn a_failed_call_shows_the_os_error() {
        let error = ProgramError::SyscallError(aya::sys::SyscallError {
            call: "bpf_link_create",
            io_error: io::Error::from_raw_os_error(libc::EMFILE),
        });
        let text = Refusal::from(error).to_string();
        assert!(
            text.contains("bpf_link_create") && text.contains("Too many open files"),
            "{text}"
        );
    }

    #[test]
    fn the_verdict_is_the_line_before_the_statistics() {
        // As in 7.3.
        let log = "117: (61) r1 = *(u32 *)(r1 +0)\n\
            access beyond the end of member on_cpu (mend:53) in struct task_struct with off 52 size 4\n\
            verification time 12530 usec\n\
            stack depth max 0\n\
            subprog 0 (all_tasks) main insns_self 109 insns_total 109 stack 8\n\
            processed 109 insns (limit 1000000) max_states_per_insn 0\n";
        let verdict = verdict_of(log).expect("there is one");
        assert!(verdict.starts_with("access beyond"), "{verdict}");
        assert_eq!(verdict_of("processed 1 insns\n"), None);
    }
}
