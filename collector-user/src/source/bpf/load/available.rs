use super::{
    ProgramReport, ProgramState,
    offsets::KernelOffsets,
    programs::{RUN_DELAY, WAKEUPS},
};
use crate::accounting::AvailableFields;

/// The fields that the running kernel and the attached programs provide.
pub(super) fn fields(offsets: &KernelOffsets, programs: &[ProgramReport]) -> AvailableFields {
    let has = |paths: &[&str]| paths.iter().all(|path| offsets.has(path));
    let is_attached = |name: &str| {
        programs
            .iter()
            .any(|program| program.name == name && program.state == ProgramState::Attached)
    };
    let wakeups = WAKEUPS.iter().all(|name| is_attached(name));
    let has_waits = wakeups || has(&[RUN_DELAY]);
    AvailableFields {
        split: has(&["task_struct.utime", "task_struct.stime"]),
        runqueue: has_waits,
        sleep: has_waits,
        wakeups,
        minor_faults: has(&["task_struct.min_flt"]),
        major_faults: has(&["task_struct.maj_flt"]),
        read_bytes: has(&[
            "task_struct.ioac.read_bytes",
            "signal_struct.ioac.read_bytes",
        ]),
        write_bytes: has(&[
            "task_struct.ioac.write_bytes",
            "signal_struct.ioac.write_bytes",
        ]),
        rss: has(&[
            "task_struct.mm",
            "mm_struct.rss_stat[0].count",
            "mm_struct.rss_stat[1].count",
            "mm_struct.rss_stat[3].count",
        ]),
        vm: has(&["task_struct.mm", "mm_struct.total_vm"]),
        comm: has(&["task_struct.comm"]),
        parents: has(&["task_struct.real_parent"]),
        exit_status: has(&[
            "task_struct.exit_code",
            "signal_struct.flags",
            "signal_struct.group_exit_code",
        ]),
        cgroups: has(&[
            "task_struct.cgroups",
            "css_set.dfl_cgrp",
            "cgroup.kn",
            "kernfs_node.id",
        ]),
        forks: is_attached("sched_process_fork"),
        execs: is_attached("sched_process_exec"),
        exits: is_attached("sched_process_exit"),
    }
}
