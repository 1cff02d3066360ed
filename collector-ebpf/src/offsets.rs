/// The offset of a field that this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// A field of a kernel structure that the programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its paths, the newest name first: `task_struct.se.sum_exec_runtime`.
    /// The first that the running kernel has is taken.
    pub paths: &'static [&'static str],
    /// What is not known without it; `None` if nothing works without it.
    pub feeds: Option<&'static str>,
}

macro_rules! offsets {
    ($($name:ident: [$($path:literal),+ $(,)?], $feeds:expr;)+) => {
        /// Where the fields are that the programs read, in bytes from the
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
            /// Before the loader has filled them in.
            pub const UNKNOWN: Self = Self { $($name: ABSENT,)+ };
        }

        /// The fields of [`Offsets`], in their order.
        pub const OFFSETS: &[Field] = &[
            $(Field { paths: &[$($path),+], feeds: $feeds },)+
        ];
    };
}

offsets! {
    task_pid: ["task_struct.pid"], None;
    task_tgid: ["task_struct.tgid"], None;
    task_flags: ["task_struct.flags"], None;
    // Renamed in 5.14: https://git.kernel.org/torvalds/c/2f064a59a11f
    task_state: ["task_struct.__state", "task_struct.state"], None;
    task_group_leader: ["task_struct.group_leader"], None;
    // Renamed in 5.5: https://git.kernel.org/torvalds/c/cf25e24db61c
    task_start: ["task_struct.start_boottime", "task_struct.real_start_time"], None;
    task_cpu_ns: ["task_struct.se.sum_exec_runtime"], None;
    task_utime: ["task_struct.utime"], Some("user_ns, system_ns");
    task_stime: ["task_struct.stime"], Some("user_ns, system_ns");
    task_nvcsw: ["task_struct.nvcsw"], None;
    task_nivcsw: ["task_struct.nivcsw"], None;
    task_min_flt: ["task_struct.min_flt"], Some("minor_faults");
    task_maj_flt: ["task_struct.maj_flt"], Some("major_faults");
    // Only with CONFIG_SCHED_INFO; without it the programs measure the wait.
    task_run_delay: ["task_struct.sched_info.run_delay"], Some("runqueue_ns of processes that were there before; the rest comes from sched_wakeup then");
    task_comm: ["task_struct.comm"], Some("comm");
    task_real_parent: ["task_struct.real_parent"], Some("ppid");
    task_cred: ["task_struct.cred"], Some("uid");
    cred_euid: ["cred.euid.val"], Some("uid");
    task_exit_code: ["task_struct.exit_code"], Some("exit_code, signal");
    task_exit_state: ["task_struct.exit_state"], None;
    task_signal: ["task_struct.signal"], None;
    signal_live: ["signal_struct.live.counter"], None;
    signal_flags: ["signal_struct.flags"], Some("exit_code, signal");
    signal_group_exit_code: ["signal_struct.group_exit_code"], Some("exit_code, signal");
    signal_nr_threads: ["signal_struct.nr_threads"], Some("threads");
    signal_cpu_ns: ["signal_struct.sum_sched_runtime"], Some("cpu_ns of threads that ended before the start");
    signal_utime: ["signal_struct.utime"], Some("user_ns of threads that ended before the start");
    signal_stime: ["signal_struct.stime"], Some("system_ns of threads that ended before the start");
    signal_nvcsw: ["signal_struct.nvcsw"], Some("switches of threads that ended before the start");
    signal_nivcsw: ["signal_struct.nivcsw"], Some("switches of threads that ended before the start");
    signal_min_flt: ["signal_struct.min_flt"], Some("faults of threads that ended before the start");
    signal_maj_flt: ["signal_struct.maj_flt"], Some("faults of threads that ended before the start");
    // Only with CONFIG_TASK_IO_ACCOUNTING.
    task_read_bytes: ["task_struct.ioac.read_bytes"], Some("read_bytes");
    task_write_bytes: ["task_struct.ioac.write_bytes"], Some("write_bytes");
    signal_read_bytes: ["signal_struct.ioac.read_bytes"], Some("read_bytes");
    signal_write_bytes: ["signal_struct.ioac.write_bytes"], Some("write_bytes");
    task_mm: ["task_struct.mm"], Some("rss_bytes, vm_bytes, argv");
    mm_total_vm: ["mm_struct.total_vm"], Some("vm_bytes");
    // An array of percpu_counter since 6.2, of atomic_long_t before:
    // https://git.kernel.org/torvalds/c/f1a7941243c1
    mm_rss_file: ["mm_struct.rss_stat[0].count", "mm_struct.rss_stat.count[0]"], Some("rss_bytes");
    mm_rss_anon: ["mm_struct.rss_stat[1].count", "mm_struct.rss_stat.count[1]"], Some("rss_bytes");
    mm_rss_shmem: ["mm_struct.rss_stat[3].count", "mm_struct.rss_stat.count[3]"], Some("rss_bytes");
    mm_arg_start: ["mm_struct.arg_start"], Some("argv");
    mm_arg_end: ["mm_struct.arg_end"], Some("argv");
    bprm_filename: ["linux_binprm.filename"], Some("filename");
    // In thread_info since 5.16 on x86, from the start on arm64.
    task_cpu: ["task_struct.thread_info.cpu", "task_struct.cpu"], Some("the time of a task that has had its CPU since before the start");
    task_on_cpu: ["task_struct.on_cpu"], Some("the time of a task that has had its CPU since before the start");
}
