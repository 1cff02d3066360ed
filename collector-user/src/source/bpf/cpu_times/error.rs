use std::{fmt::Write as _, io};

use aya::programs::ProgramError;

use super::{check::Difference, reader::PROGRAM};
use crate::source::{
    ParseError,
    bpf::load::{Refusal, with_causes},
};

/// The times of the CPUs cannot be read without `/proc/stat`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CpuTimesError {
    #[error("this kernel has no field {0}")]
    NoField(&'static str),
    #[error("neither BTF nor /proc/kallsyms has the addresses of the per-CPU variables")]
    NoPerCpuVariables,
    #[error("the address of the per-CPU variable tick_cpu_sched is unknown")]
    NoTickSched,
    #[error("the per-CPU variables are too far apart")]
    TooFarApart,
    #[error("this kernel has no field in kernel_cpustat for whether a CPU is idle")]
    NoIdleFlag,
    #[error("struct tick_sched of this kernel has an unknown layout")]
    UnknownTickSched,
    #[error("CPUs {0} run tasks without a tick (nohz_full)")]
    NohzFull(String),
    #[error("the numbers of the possible CPUs have gaps: {0}")]
    CpuGaps(String),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the object has no program {PROGRAM}")]
    NoProgram,
    #[error("{}", with_causes(.0))]
    Run(#[from] ProgramError),
    #[error("the program {PROGRAM} stops at CPU {0}")]
    Stopped(u32),
    #[error("/proc/stat: {0}")]
    ReadProcStat(#[source] io::Error),
    #[error("/proc/stat: {0}")]
    ParseProcStat(#[source] ParseError),
    #[error(transparent)]
    Different(#[from] Difference),
}

/// Why the times of the CPUs are read from `/proc/stat`, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CpuTimesUnused {
    pub(crate) reason: String,
    pub(crate) advice: String,
}

impl CpuTimesUnused {
    /// For an error of the comparison with `/proc/stat`, on a host with these
    /// present and online CPUs.
    pub(super) fn because(error: &CpuTimesError, present: &[u32], online: &[u32]) -> Self {
        let mut reason = format!("its times differ from /proc/stat: {error}");
        let mut advice = "only the CPU time in flight of running threads is less exact: \
                          /proc/stat is read instead"
            .to_owned();
        let offline = present.iter().find(|cpu| !online.contains(cpu));
        if let Some(cpu) = offline {
            let _ = write!(
                reason,
                "; CPU {cpu} is offline, and its times before cannot be read until it is online"
            );
            advice = format!(
                "start the agent while the CPU is online: write 1 to \
                 /sys/devices/system/cpu/cpu{cpu}/online, then restart it"
            );
        }
        Self { reason, advice }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_that_is_offline_at_the_start_is_named_with_what_would_help() {
        let error = || CpuTimesError::Stopped(7);
        let unused = CpuTimesUnused::because(&error(), &[0, 1, 2], &[0, 2]);
        assert!(unused.reason.contains("CPU 1 is offline"), "{unused:?}");
        assert!(unused.advice.contains("cpu1/online"), "{unused:?}");
        let unused = CpuTimesUnused::because(&error(), &[0, 1], &[0, 1]);
        assert!(!unused.reason.contains("offline"), "{unused:?}");
        assert!(!unused.advice.contains("kernel"), "{unused:?}");
    }
}
