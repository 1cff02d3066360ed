//! What the kernel says when it refuses, as a reader can use it.

use std::io;

use aya::{EbpfError, programs::ProgramError};
use rustix::process::{Resource, getrlimit};

use super::super::LoadError;

/// Why the kernel refused a program, in one line; the verifier's log, which
/// is many, goes to the debug log.
pub(in crate::source::ebpf) fn refused(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            tracing::debug!(log, "the verifier refused a program");
            format!(
                "the kernel refused it: {io_error}{}",
                verdict_of(&log)
                    .map(|line| format!(" ({line})"))
                    .unwrap_or_default()
            )
        }
        error => with_causes(error),
    }
}

/// An error with its causes: what the outermost tells is that a call failed, and
/// only the innermost why.
pub(in crate::source::ebpf) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some tell their cause themselves.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The line of the verifier's log that says why: the last one before those on
/// what the check took (`print_verification_stats` of `kernel/bpf/verifier.c`).
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

/// Why the object, whose maps take so many bytes, could not be loaded: the
/// innermost cause, which the outer ones do not tell.
pub(super) fn describe(error: &EbpfError, map_bytes: u64) -> LoadError {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    let mut text = error.to_string();
    while let Some(inner) = source {
        if let Some(io_error) = inner.downcast_ref::<io::Error>()
            && io_error.kind() == io::ErrorKind::PermissionDenied
        {
            return refused_with(getrlimit(Resource::Memlock).current, map_bytes);
        }
        text = inner.to_string();
        source = inner.source();
    }
    LoadError::Other(format!("cannot load the eBPF programs: {error}: {text}"))
}

/// What it may be that the kernel refuses, with this limit of locked memory.
const fn refused_with(limit: Option<u64>, map_bytes: u64) -> LoadError {
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
        let text = refused_with(Some(65_536), 8_000_000).to_string();
        assert!(
            text.contains("8000000 bytes are needed and 65536 allowed"),
            "{text}"
        );
        for limit in [None, Some(8_000_000)] {
            assert!(matches!(refused_with(limit, 8_000_000), LoadError::Refused));
        }
    }

    #[test]
    fn a_call_that_failed_tells_the_error_of_the_system() {
        let error = ProgramError::SyscallError(aya::sys::SyscallError {
            call: "bpf_link_create",
            io_error: io::Error::from_raw_os_error(libc::EMFILE),
        });
        let text = refused(&error);
        assert!(
            text.contains("bpf_link_create") && text.contains("Too many open files"),
            "{text}"
        );
    }

    #[test]
    fn the_verdict_is_the_line_before_the_statistics() {
        // As 7.3 has it.
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
