//! The programs, and the metrics and fields that each one feeds.

use super::super::CPU_TIMES_PROGRAM;

/// The kernel's counter of the run-queue wait of a task.
pub(super) const RUN_DELAY: &str = "task_struct.sched_info.run_delay";

/// The programs on tracepoints, and what each one feeds. The first one is
/// required.
pub(super) const TRACEPOINTS: [(&str, &str); 7] = [
    (
        "sched_switch",
        "cpu_stats, process_stats, sched_latency; exit in process_events",
    ),
    (WAKEUPS[0], WAKEUPS_FEED),
    (WAKEUPS[1], WAKEUPS_FEED),
    (
        "sched_process_fork",
        "fork in process_events; the command name of what ends before the next tick",
    ),
    (
        "sched_process_exec",
        "exec in process_events; a new command name at once",
    ),
    (
        "sched_process_exit",
        "the wait status of what outlives its thread-group leader",
    ),
    ("cgroup_attach_task", "moves between cgroups at once"),
];

/// The programs on wakeups, needed only if the kernel does not keep
/// [`RUN_DELAY`]: they cost about as much as the switch program.
pub(super) const WAKEUPS: [&str; 2] = ["sched_wakeup", "sched_wakeup_new"];
const WAKEUPS_FEED: &str = "runqueue_ns, blocked_ns, interruptible_sleep_ns, uninterruptible_sleep_ns, wakeups; \
     runqueue_wait and off_cpu in sched_latency";

/// The iterator over all tasks, and what it feeds.
pub(super) const ALL_TASKS: (&str, &str) = (
    "all_tasks",
    "processes that started before the agent; memory, I/O, owner",
);

/// The program that reads the CPUs, and what it feeds.
pub(super) const READ_CPUS: (&str, &str) = (
    CPU_TIMES_PROGRAM,
    "cpu_stats without /proc/stat; the exact usage of the current task of each CPU",
);

/// The program that counts forks for [`READ_CPUS`], and what it feeds.
pub(super) const TASK_NEWTASK: (&str, &str) =
    ("task_newtask", "forks in cpu_stats without /proc/stat");
