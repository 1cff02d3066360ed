use super::{
    loader::{RUN_DELAY, WAKEUPS},
    offsets::KernelOffsets,
};

/// What the attached programs and the fields of this kernel can tell. What they
/// cannot is left empty: a zero would be taken for a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Known {
    pub(crate) split: bool,
    pub(crate) runqueue: bool,
    pub(crate) sleep: bool,
    pub(crate) wakeups: bool,
    pub(crate) minor_faults: bool,
    pub(crate) major_faults: bool,
    pub(crate) read_bytes: bool,
    pub(crate) write_bytes: bool,
    pub(crate) rss: bool,
    pub(crate) vm: bool,
    /// The names of processes, without which `/proc` is asked.
    pub(crate) comm: bool,
    /// The parents of processes that were there before.
    pub(crate) parents: bool,
    pub(crate) exit_status: bool,
    /// The numbers of the tasks' cgroups.
    pub(crate) cgroups: bool,
    pub(crate) forks: bool,
    pub(crate) execs: bool,
    pub(crate) exits: bool,
}

impl Known {
    /// What this kernel's fields and the programs that are attached tell.
    pub(crate) fn of(offsets: &KernelOffsets, is_attached: impl Fn(&str) -> bool) -> Self {
        let has = |paths: &[&str]| paths.iter().all(|path| offsets.has(path));
        let counts_waits = has(&[RUN_DELAY]);
        let wakeups = WAKEUPS.iter().all(|name| is_attached(name));
        Self {
            split: has(&["task_struct.utime", "task_struct.stime"]),
            runqueue: wakeups || counts_waits,
            sleep: wakeups || counts_waits,
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
}
