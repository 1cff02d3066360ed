use crate::COMM_LEN;

/// The offset of a field that this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// An offset of at least this in a load instruction is the index of an element of
/// [`OFFSETS`]: the loader replaces it by the offset of the field in the running
/// kernel. No structure is large enough for such an offset.
pub const PLACEHOLDERS: i16 = 0x4000;

/// The placeholder of the field at an offset of [`Offsets`].
pub const fn placeholder(offset: usize) -> i16 {
    PLACEHOLDERS + (offset / size_of::<u32>()) as i16
}

/// The address of another structure.
type Pointer = u64;

/// A field of a kernel structure that the programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its paths, the newest name first: `task_struct.se.sum_exec_runtime`.
    /// The first one that the running kernel has is used.
    pub paths: &'static [&'static str],
    /// The bytes that the programs read. The verifier refuses a program that reads
    /// beyond the end of a field, so a shorter field counts as absent.
    pub bytes: u32,
    /// What is unknown without it; `None` if it is required.
    pub feeds: Option<&'static str>,
}

/// What the fields on the path to `rq.clock` feed.
const CLOCK: &str = "the scheduler's own clock; without it each switch reads CLOCK_MONOTONIC, which costs half as much again";

macro_rules! offsets {
    ($($name:ident: $type:ty, [$($path:literal),+ $(,)?], $feeds:expr;)+) => {
        /// The offsets of the fields that the programs read, in bytes from the
        /// start of their structure, or [`ABSENT`].
        ///
        /// The loader takes them from the BTF of the running kernel and
        /// freezes them, so that the verifier sees constants.
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub struct Offsets {
            $(
                #[doc = concat!("Of ", $("`", $path, "` ",)+)]
                pub $name: u32,
            )+
        }

        impl Offsets {
            /// Before the loader has set them.
            pub const UNKNOWN: Self = Self { $($name: ABSENT,)+ };

            $(
                #[doc = concat!("The bytes that are read of ", $("`", $path, "` ",)+)]
                pub const fn $name() -> usize {
                    size_of::<$type>()
                }
            )+
        }

        /// The fields of [`Offsets`], in their order.
        pub const OFFSETS: &[Field] = &[
            $(Field { paths: &[$($path),+], bytes: Offsets::$name() as u32, feeds: $feeds },)+
        ];
    };
}

offsets! {
    task_pid: u32, ["task_struct.pid"], None;
    task_tgid: u32, ["task_struct.tgid"], None;
    task_flags: u32, ["task_struct.flags"], None;
    // Renamed in 5.14: https://git.kernel.org/torvalds/c/2f064a59a11f
    task_state: u32, ["task_struct.__state", "task_struct.state"], None;
    task_group_leader: Pointer, ["task_struct.group_leader"], None;
    // Renamed in 5.5: https://git.kernel.org/torvalds/c/cf25e24db61c
    task_start: u64, ["task_struct.start_boottime", "task_struct.real_start_time"], None;
    task_cpu_ns: u64, ["task_struct.se.sum_exec_runtime"], None;
    task_utime: u64, ["task_struct.utime"], Some("user_ns, system_ns");
    task_stime: u64, ["task_struct.stime"], Some("user_ns, system_ns");
    task_nvcsw: u64, ["task_struct.nvcsw"], None;
    task_nivcsw: u64, ["task_struct.nivcsw"], None;
    task_min_flt: u64, ["task_struct.min_flt"], Some("minor_faults");
    task_maj_flt: u64, ["task_struct.maj_flt"], Some("major_faults");
    // Only with CONFIG_SCHED_INFO; without it the programs measure the wait.
    task_run_delay: u64, ["task_struct.sched_info.run_delay"], Some("runqueue_ns of processes that started before the agent; of others it is measured at sched_wakeup");
    task_comm: [u8; COMM_LEN], ["task_struct.comm"], Some("comm in process_events");
    // Incremented by each execve.
    task_exec_id: u64, ["task_struct.self_exec_id"], Some("the new cmdline of processes whose exec event was lost");
    task_real_parent: Pointer, ["task_struct.real_parent"], Some("ppid");
    task_cred: Pointer, ["task_struct.cred"], Some("uid");
    cred_euid: u32, ["cred.euid.val"], Some("uid");
    task_exit_code: u32, ["task_struct.exit_code"], Some("exit_code, signal, core_dumped in process_events");
    task_exit_state: u32, ["task_struct.exit_state"], None;
    task_signal: Pointer, ["task_struct.signal"], None;
    signal_live: u32, ["signal_struct.live.counter"], None;
    signal_flags: u32, ["signal_struct.flags"], Some("exit_code, signal, core_dumped in process_events");
    signal_group_exit_code: u32, ["signal_struct.group_exit_code"], Some("exit_code, signal, core_dumped in process_events");
    signal_cpu_ns: u64, ["signal_struct.sum_sched_runtime"], Some("cpu_ns of threads that exited before the agent started");
    signal_utime: u64, ["signal_struct.utime"], Some("user_ns of threads that exited before the agent started");
    signal_stime: u64, ["signal_struct.stime"], Some("system_ns of threads that exited before the agent started");
    signal_nvcsw: u64, ["signal_struct.nvcsw"], Some("switches of threads that exited before the agent started");
    signal_nivcsw: u64, ["signal_struct.nivcsw"], Some("switches of threads that exited before the agent started");
    signal_min_flt: u64, ["signal_struct.min_flt"], Some("faults of threads that exited before the agent started");
    signal_maj_flt: u64, ["signal_struct.maj_flt"], Some("faults of threads that exited before the agent started");
    // Only with CONFIG_TASK_IO_ACCOUNTING.
    task_read_bytes: u64, ["task_struct.ioac.read_bytes"], Some("read_bytes");
    task_write_bytes: u64, ["task_struct.ioac.write_bytes"], Some("write_bytes");
    signal_read_bytes: u64, ["signal_struct.ioac.read_bytes"], Some("read_bytes");
    signal_write_bytes: u64, ["signal_struct.ioac.write_bytes"], Some("write_bytes");
    task_mm: Pointer, ["task_struct.mm"], Some("rss_bytes, vm_bytes, argv");
    mm_total_vm: u64, ["mm_struct.total_vm"], Some("vm_bytes");
    // An array of percpu_counter since 6.2, of atomic_long_t before:
    // https://git.kernel.org/torvalds/c/f1a7941243c1
    mm_rss_file: u64, ["mm_struct.rss_stat[0].count", "mm_struct.rss_stat.count[0]"], Some("rss_bytes");
    mm_rss_anon: u64, ["mm_struct.rss_stat[1].count", "mm_struct.rss_stat.count[1]"], Some("rss_bytes");
    mm_rss_shmem: u64, ["mm_struct.rss_stat[3].count", "mm_struct.rss_stat.count[3]"], Some("rss_bytes");
    mm_arg_start: u64, ["mm_struct.arg_start"], Some("argv");
    mm_arg_end: u64, ["mm_struct.arg_end"], Some("argv");
    bprm_filename: Pointer, ["linux_binprm.filename"], Some("filename");
    task_cgroups: Pointer, ["task_struct.cgroups"], Some("id in cgroups; preemptions in sched_latency");
    // The cgroup in the v2 hierarchy, whatever controllers that has.
    css_set_cgroup: Pointer, ["css_set.dfl_cgrp"], Some("id in cgroups; preemptions in sched_latency");
    cgroup_kn: Pointer, ["cgroup.kn"], Some("id in cgroups; preemptions in sched_latency");
    kernfs_node_id: u64, ["kernfs_node.id"], Some("id in cgroups; preemptions in sched_latency");
    // In thread_info since 5.16 on x86, from the start on arm64.
    task_cpu: u32, ["task_struct.thread_info.cpu", "task_struct.cpu"], Some("the CPU time of a task that has been running since before the agent started");
    // An `int`, and a byte since 7.3: of either, the first byte is read.
    task_on_cpu: u8, ["task_struct.on_cpu"], Some("the CPU time of a task that has been running since before the agent started");
    // Only with CONFIG_FAIR_GROUP_SCHED.
    task_cfs_rq: Pointer, ["task_struct.se.cfs_rq"], Some(CLOCK);
    cfs_rq_rq: Pointer, ["cfs_rq.rq"], Some(CLOCK);
    rq_cpu: u32, ["rq.cpu"], Some(CLOCK);
    rq_clock: u64, ["rq.clock"], Some(CLOCK);
}
