//! Which programs there are, and what each one feeds.

use super::super::cpu_reader;

/// The kernel's own count of a task's waits.
pub(in crate::source::ebpf) const RUN_DELAY: &str = "task_struct.sched_info.run_delay";

/// The programs on tracepoints, and what each one feeds. The first one is
/// needed by all others.
pub(super) const TRACEPOINTS: [(&str, &str); 7] = [
    (
        "sched_switch",
        "cpu_stats, process_stats, sched_latency; exit in process_events",
    ),
    (WAKEUPS[0], WAKEUPS_FEED),
    (WAKEUPS[1], WAKEUPS_FEED),
    (
        "sched_process_fork",
        "fork in process_events; the name of what is gone before the next tick",
    ),
    (
        "sched_process_exec",
        "exec in process_events; new names at once",
    ),
    (
        "sched_process_exit",
        "the status of what ends after its leading thread",
    ),
    ("cgroup_attach_task", "moves between cgroups at once"),
];

/// The programs that watch when tasks are woken: only of use where the kernel
/// does not keep [`RUN_DELAY`], since they cost about as much as the switch.
pub(in crate::source::ebpf) const WAKEUPS: [&str; 2] = ["sched_wakeup", "sched_wakeup_new"];
const WAKEUPS_FEED: &str = "runqueue_ns, blocked_ns, interruptible_sleep_ns, uninterruptible_sleep_ns, wakeups; \
     runqueue_wait and off_cpu in sched_latency";

/// The iterator, and what it feeds.
pub(super) const ITERATOR: (&str, &str) = (
    "all_tasks",
    "processes that were there before; memory, I/O, owner",
);

/// The program that reads the CPUs, and what it feeds.
pub(super) const READER: (&str, &str) = (
    cpu_reader::PROGRAM,
    "cpu_stats without /proc/stat; what a thread that has a CPU has used by now",
);

/// The program that counts tasks for [`READER`], and what it feeds.
pub(super) const FORKS: (&str, &str) = ("task_newtask", "forks in cpu_stats without /proc/stat");
