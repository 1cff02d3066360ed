use std::sync::{Arc, Mutex, PoisonError};

use super::{ProcessPoller, process_table::ProcessTable};
use crate::{
    collectors::{CollectError, Collector, Cost},
    metric::ProcessStats,
    source::Tick,
};

/// Reads [`ProcessStats`] from `/proc`. Tier 3.
///
/// Needs no rights. The I/O of other users' processes is `None` without
/// `CAP_SYS_PTRACE`, and with `hidepid` these processes are not visible.
///
/// # Processes with several threads
///
/// The kernel shows the exact CPU time, the run-queue wait and the context
/// switches per thread, and not for exited threads. So:
/// - for a process that never had a second thread, `cpu_ns`, `runqueue_ns` and the
///   switches are those of its thread, in nanoseconds;
/// - for any other, `cpu_ns` is the sum of user and system time of the whole
///   process including exited threads, with a resolution of 10 ms each;
///   `runqueue_ns` and the switches are `None`, because a sum over the remaining
///   threads would decrease when one exits.
///
/// The resolution of `user_ns` and `system_ns` is always 10 ms. `exited` has the
/// processes that were seen and have exited, with their last counters: a process
/// that lived between two readings is missing, and so is the last part of each.
///
/// # Cost
///
/// Proportional to the number of processes: one read, of a file that is kept open,
/// for each process that has one thread and did not run since the last reading;
/// four reads for one that ran, six for a new one. Memory and state of processes
/// that did not run are read again at every tenth reading, arguments, user and
/// cgroup at every sixtieth. Of 1,090 processes, most of them asleep, on a machine with two
/// CPUs: about 8 ms a reading, and 150 ms the first one.
#[derive(Debug)]
pub struct ProcfsProcessStats {
    table: Arc<Mutex<ProcessTable>>,
}

impl ProcfsProcessStats {
    /// A collector that has not scanned `/proc` yet.
    pub fn new() -> Self {
        Self {
            table: Arc::new(Mutex::new(ProcessTable::new())),
        }
    }

    /// A poller that shares its scans with this collector.
    pub fn poller(&self) -> ProcessPoller {
        ProcessPoller::new(Arc::clone(&self.table))
    }
}

impl Default for ProcfsProcessStats {
    fn default() -> Self {
        Self::new()
    }
}

impl Collector for ProcfsProcessStats {
    type Reading = ProcessStats;

    fn sources(&self) -> &'static [&'static str] {
        &[
            "/proc/*/schedstat",
            "/proc/*/stat",
            "/proc/*/status",
            "/proc/*/io",
            "/proc/*/cmdline",
            "/proc/*/cgroup",
        ]
    }

    fn cost(&self) -> Cost {
        Cost::Heavy
    }

    fn collect(&mut self, tick: &Tick) -> Result<ProcessStats, CollectError> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.scan(tick)?;
        Ok(ProcessStats {
            processes: table.list(),
            exited: table.exited().clone(),
            other: None,
            cgroups: table.cgroups(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        borrow::Cow,
        fs,
        process::{Child, Command, Stdio},
        time::Duration,
    };

    use super::*;
    use crate::{metric::ProcessState, source::Sources};

    /// A process of a captured tree: threads, clock ticks, and `schedstat`.
    fn write_process(root: &std::path::Path, pid: u32, threads: u32, ticks: u64, schedstat: &str) {
        let folder = root.join(format!("proc/{pid}"));
        fs::create_dir_all(&folder).unwrap();
        let stat = format!(
            "{pid} (worker) S 1 1 1 0 -1 4194560 11 0 13 0 {ticks} 0 0 0 20 0 {threads} 0 500 \
             8192000 300 18446744073709551615 1 2 3 0 0 0\n"
        );
        fs::write(folder.join("stat"), stat).unwrap();
        fs::write(folder.join("schedstat"), schedstat).unwrap();
        let status = "Uid:\t7\t8\t7\t7\nVmRSS:\t  12 kB\nvoluntary_ctxt_switches:\t5\n\
                      nonvoluntary_ctxt_switches:\t6\n";
        fs::write(folder.join("status"), status).unwrap();
        fs::write(folder.join("cmdline"), "worker\0--fast\0").unwrap();
        fs::write(folder.join("cgroup"), "0::/a/b\n").unwrap();
    }

    fn collect(collector: &mut ProcfsProcessStats, root: &std::path::Path) -> ProcessStats {
        let tick = Sources::rooted(root.to_owned()).tick();
        collector.collect(&tick).unwrap()
    }

    #[test]
    fn of_one_thread_everything_is_exact() {
        let root = tempfile::tempdir().unwrap();
        write_process(root.path(), 20, 1, 3, "35000001 777 9\n");
        let mut collector = ProcfsProcessStats::new();
        let process = collect(&mut collector, root.path()).processes.at(0);
        assert_eq!(process.pid, 20);
        assert_eq!(process.cpu_ns, Some(35_000_001));
        assert_eq!(process.user_ns, Some(30_000_000));
        assert_eq!(process.runqueue_ns, Some(777));
        assert_eq!(process.voluntary_switches, Some(5));
        assert_eq!(process.involuntary_switches, Some(6));
        assert_eq!(process.uid, Some(8));
        assert_eq!(process.rss_bytes, Some(12 * 1024));
        assert_eq!(process.cmdline.as_deref(), Some("worker --fast"));
        assert_eq!(process.cgroup.as_deref(), Some("/a/b"));
        assert_eq!(process.start_time_ns, 5_000_000_000);
        assert_eq!(process.kernel_thread, Some(false));
        assert_eq!(process.read_bytes, None);
        assert_eq!(process.blocked_ns, None);
    }

    #[test]
    fn a_command_line_of_megabytes_is_cut_to_4_kib() {
        let root = tempfile::tempdir().unwrap();
        write_process(root.path(), 20, 1, 3, "35000001 777 9\n");
        let long = "x".repeat(3 << 20);
        fs::write(root.path().join("proc/20/cmdline"), long).unwrap();
        let sources = Sources::rooted(root.path().to_owned());
        let stats = ProcfsProcessStats::new().collect(&sources.tick()).unwrap();
        let cmdline = stats.processes.at(0).cmdline.unwrap();
        assert_eq!(cmdline.len(), 4 << 10);
        // The rest is not even read.
        assert!(sources.stats().bytes < 16 << 10, "{:?}", sources.stats());
    }

    #[test]
    fn of_many_threads_the_time_is_that_of_all_and_the_rest_is_unknown() {
        let root = tempfile::tempdir().unwrap();
        write_process(root.path(), 20, 4, 300, "1000 777 9\n");
        let mut collector = ProcfsProcessStats::new();
        let process = collect(&mut collector, root.path()).processes.at(0);
        assert_eq!(process.cpu_ns, Some(3_000_000_000));
        assert_eq!(process.runqueue_ns, None);
        assert_eq!(process.voluntary_switches, None);
        assert_eq!(process.uid, Some(8));
    }

    #[test]
    fn a_thread_that_ended_before_we_looked_is_not_forgotten() {
        let root = tempfile::tempdir().unwrap();
        write_process(root.path(), 20, 1, 300, "1000 777 9\n");
        let mut collector = ProcfsProcessStats::new();
        let process = collect(&mut collector, root.path()).processes.at(0);
        assert_eq!(process.cpu_ns, Some(3_000_000_000));
        assert_eq!(process.runqueue_ns, None);
    }

    #[test]
    fn the_time_never_falls_when_a_second_thread_makes_it_less_exact() {
        let root = tempfile::tempdir().unwrap();
        let mut collector = ProcfsProcessStats::new();
        write_process(root.path(), 20, 1, 3, "39000000 777 9\n");
        collect(&mut collector, root.path());
        write_process(root.path(), 20, 2, 3, "39000500 777 10\n");
        let process = collect(&mut collector, root.path()).processes.at(0);
        assert_eq!(process.cpu_ns, Some(39_000_000));
    }

    #[test]
    fn of_a_process_that_did_not_run_one_file_is_read() {
        let root = tempfile::tempdir().unwrap();
        for pid in [20, 31] {
            write_process(root.path(), pid, 1, 3, "35000001 777 9\n");
        }
        let sources = Sources::rooted(root.path().to_owned());
        let mut collector = ProcfsProcessStats::new();
        // Neither 20 nor 31 is refreshed at the second scan.
        let first = collector.collect(&sources.tick()).unwrap();
        let before = sources.stats();
        write_process(root.path(), 31, 1, 3, "36000001 777 10\n");
        let second = collector.collect(&sources.tick()).unwrap();
        let cost = sources.stats();
        // The directory, and of 20 its schedstat; of 31 also stat and status, but
        // not io, which was not there the first time.
        assert_eq!(cost.opens - before.opens, 1 + 1 + 3);
        assert_eq!(cost.reads_saved, before.reads_saved);
        let rows = |stats: &ProcessStats| stats.processes.shared().cloned().collect::<Vec<_>>();
        assert!(Arc::ptr_eq(&rows(&first)[0], &rows(&second)[0]));
        assert_eq!(second.processes.at(1).cpu_ns, Some(36_000_001));
    }

    #[test]
    fn the_memory_of_a_process_that_did_not_run_is_read_again_within_ten_readings() {
        let root = tempfile::tempdir().unwrap();
        let mut collector = ProcfsProcessStats::new();
        write_process(root.path(), 20, 1, 3, "35000001 777 9\n");
        collect(&mut collector, root.path());
        let status = root.path().join("proc/20/status");
        let swapped = fs::read_to_string(&status)
            .unwrap()
            .replace("12 kB", "4 kB");
        fs::write(&status, swapped).unwrap();
        let rss: Vec<_> = (0..10)
            .map(|_| {
                collect(&mut collector, root.path())
                    .processes
                    .at(0)
                    .rss_bytes
            })
            .collect();
        assert_eq!(rss[0], Some(12 * 1024));
        assert_eq!(rss[9], Some(4 * 1024));
    }

    #[test]
    fn who_is_gone_is_counted_with_what_was_last_seen() {
        let root = tempfile::tempdir().unwrap();
        let mut collector = ProcfsProcessStats::new();
        write_process(root.path(), 20, 1, 3, "35000001 777 9\n");
        write_process(root.path(), 21, 1, 3, "35000001 777 9\n");
        assert_eq!(
            collect(&mut collector, root.path()).exited.processes,
            Some(0)
        );
        fs::remove_dir_all(root.path().join("proc/20")).unwrap();
        let stats = collect(&mut collector, root.path());
        assert_eq!(stats.processes.len(), 1);
        assert_eq!(stats.exited.processes, Some(1));
        assert_eq!(stats.exited.cpu_ns, Some(35_000_001));
        assert_eq!(stats.exited.runqueue_ns, None);
    }

    #[test]
    fn a_process_that_is_reaped_while_it_is_read_keeps_its_counters() {
        let root = tempfile::tempdir().unwrap();
        let mut collector = ProcfsProcessStats::new();
        write_process(root.path(), 20, 1, 300, "3000000001 777 9\n");
        let before = collect(&mut collector, root.path()).processes.at(0).clone();
        write_process(root.path(), 20, 0, 0, "0 0 0\n");
        let stat = root.path().join("proc/20/stat");
        let text = fs::read_to_string(&stat).unwrap();
        let reaped = text
            .replace(" S 1 1 1 ", " X 0 -1 -1 ")
            .replace(" 11 0 13 ", " 0 0 0 ");
        assert_ne!(reaped, text);
        fs::write(&stat, reaped).unwrap();
        let stats = collect(&mut collector, root.path());
        let process = stats.processes.at(0);
        assert_eq!(process.cpu_ns, before.cpu_ns);
        assert_eq!(process.minor_faults, Some(11));
        assert_eq!(process.ppid, Some(1));
        assert_eq!(process.state, Some(ProcessState::Dead));
        assert_eq!(stats.cgroups[0].cpu_ns, before.cpu_ns);
    }

    #[test]
    fn one_process_that_cannot_be_understood_harms_no_other() {
        let root = tempfile::tempdir().unwrap();
        write_process(root.path(), 20, 1, 3, "35000001 777 9\n");
        write_process(root.path(), 21, 1, 3, "garbage");
        fs::write(root.path().join("proc/21/stat"), [0xff; 100]).unwrap();
        let mut collector = ProcfsProcessStats::new();
        let stats = collect(&mut collector, root.path());
        assert_eq!(stats.processes.len(), 1);
    }

    struct Busy(Child);

    impl Drop for Busy {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn both_ways_to_know_the_time_of_a_live_process_agree_within_a_tick_each() {
        let busy = Busy(
            Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .stdin(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let sources = Sources::live();
        let mut collector = ProcfsProcessStats::new();
        let process = loop {
            let stats = collector.collect(&sources.tick()).unwrap();
            let process = stats.processes.get(busy.0.id()).map(Cow::into_owned);
            if let Some(process) = process
                && process.cpu_ns > Some(100_000_000)
            {
                break process;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let coarse = process.user_ns.unwrap() + process.system_ns.unwrap();
        let exact = process.cpu_ns.unwrap();
        assert!(exact.abs_diff(coarse) <= 30_000_000, "{exact} {coarse}");
        assert!(process.runqueue_ns.is_some());
        assert_eq!(process.ppid, Some(std::process::id()));
        assert_eq!(process.threads, Some(1));
    }

    #[test]
    fn this_process_is_charged_what_its_own_clock_says() {
        let sources = Sources::live();
        let clock = || {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
            time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
        };
        let before = clock();
        let stats = ProcfsProcessStats::new().collect(&sources.tick()).unwrap();
        let after = clock();
        let me = stats
            .processes
            .iter()
            .find(|process| process.pid == std::process::id())
            .unwrap();
        let seen = me.cpu_ns.unwrap();
        // A test runs beside others, in threads of one process; each of the two
        // times is cut to a clock tick.
        assert!(seen + 30_000_000 >= before, "{seen} {before}");
        assert!(seen <= after, "{seen} {after}");
        assert!(me.rss_bytes > Some(0));
    }
}
