use std::{fmt::Write as _, io, ops::Range};

use aya::{
    Ebpf,
    programs::{RawTracePoint, RawTracePointRunOptions, TestRun as _},
};
use collector_ebpf::{CpuCounters, CpuReading};

use super::{
    cpu_check,
    cpu_states::{self, times},
    loader::with_causes,
    mapped::{MappedArray, Record},
    missed_runs::MissedRuns,
};
use crate::{
    metric::CpuStats,
    source::{procfs::proc_stat, read_kernel_file, sysfs::parse_cpu_list},
};

/// The program that reads the CPUs.
pub(super) const PROGRAM: &str = "read_cpus";

/// How often the CPUs are read again while one of them changes as it is read.
const ATTEMPTS: u32 = 8;

/// How often the times are compared with `/proc/stat` before they are taken
/// for others: what both tell changes between the looks at them.
const COMPARISONS: u32 = 5;

/// How often at most, until no task is made between the looks.
const MOST_COMPARISONS: u32 = 64;

// SAFETY: integers only, and no padding.
unsafe impl Record for CpuReading {}

/// Reads what the kernel knows of each CPU, by a run of the program
/// `read_cpus`: a system call for 8 CPUs, and no file. Those that are possible
/// and were never there are passed over, 256 in a run.
///
/// # Minimum kernel version
///
/// 5.10: <https://git.kernel.org/torvalds/c/1b4d60ec162f>
#[derive(Debug)]
pub(super) struct CpuReader {
    map: MappedArray<CpuReading>,
    idle_in: u32,
    /// Whether the program runs that counts the tasks that are made.
    counts_forks: bool,
    /// Those that it missed, and how many that were by the last reading.
    missed_runs: Option<MissedRuns>,
    forks_missed: u64,
    /// What was read last of each CPU.
    readings: Vec<CpuReading>,
    /// Tasks that were made before the programs counted them; `None` while
    /// the times are not known to be those of `/proc/stat`.
    forks_before: Option<u64>,
}

impl CpuReader {
    pub(super) fn new(
        map: MappedArray<CpuReading>,
        idle_in: u32,
        counts_forks: bool,
        missed_runs: Option<MissedRuns>,
    ) -> Self {
        Self {
            missed_runs,
            forks_missed: 0,
            readings: vec![CpuReading::default(); map.len() as usize],
            map,
            idle_in,
            counts_forks,
            forks_before: None,
        }
    }

    /// Runs the program once on each CPU, for it to find out where their
    /// variables are. A CPU that is offline is found when it has come online.
    fn find_cpus(&self, ebpf: &Ebpf) -> io::Result<()> {
        let program = program(ebpf)?;
        for cpu in 0..self.map.len() {
            let options = RawTracePointRunOptions {
                args: [u64::MAX; 12],
                cpu: Some(cpu),
            };
            if let Err(error) = program.test_run(options) {
                tracing::debug!(cpu, %error, "a CPU cannot be asked");
            }
        }
        Ok(())
    }

    /// Reads all CPUs.
    pub(super) fn read(&mut self, ebpf: &Ebpf) -> io::Result<()> {
        let program = program(ebpf)?;
        let mut first = 0;
        while first < self.map.len() {
            let mut next = first;
            for _ in 0..ATTEMPTS {
                let mut options = RawTracePointRunOptions::new();
                options.args[0] = u64::from(first);
                let run = program
                    .test_run(options)
                    .map_err(|error| io::Error::other(with_causes(&error)))?;
                next = run.return_value;
                if self.take(first..next) {
                    break;
                }
            }
            if next <= first {
                return Err(io::Error::other(format!("it stops at CPU {first}")));
            }
            first = next;
        }
        // Each run that was left out is a task that was made.
        if let Some(missed) = &mut self.missed_runs {
            self.forks_missed = missed.count();
        }
        Ok(())
    }

    /// Takes over what was read of these CPUs; false if one of them changed
    /// meanwhile, which stays as it was.
    fn take(&mut self, cpus: Range<u32>) -> bool {
        let mut are_whole = true;
        for cpu in cpus.filter(|cpu| self.map.is_found(*cpu)) {
            if let Some(reading) = self.map.read(cpu)
                && let Some(kept) = self.readings.get_mut(cpu as usize)
            {
                if reading.is_whole == 0 {
                    are_whole = false;
                } else {
                    *kept = reading;
                }
            }
        }
        are_whole
    }

    /// Compares the times with those of `/proc/stat`, and takes over what
    /// happened before the programs were attached.
    ///
    /// # Errors
    ///
    /// Where they differ: then these are not to be used.
    pub(super) fn check(&mut self, ebpf: &Ebpf) -> Result<(), Unused> {
        self.agree(ebpf).map_err(|difference| {
            let list = |name: &str| {
                let text = read_kernel_file(&format!("/sys/devices/system/cpu/{name}")).ok()?;
                parse_cpu_list(&text).ok()
            };
            let of = |lists: Option<(Vec<u32>, Vec<u32>)>| lists.unwrap_or_default();
            let (present, online) = of(list("present").zip(list("online")));
            Unused::because(&difference, &present, &online)
        })
    }

    fn agree(&mut self, ebpf: &Ebpf) -> Result<(), String> {
        self.find_cpus(ebpf).map_err(|error| error.to_string())?;
        let mut forks_before = None;
        let mut agreed = Err(String::new());
        for comparison in 1..=MOST_COMPARISONS {
            match self.compare(ebpf)? {
                Err(difference) if agreed.is_err() => agreed = Err(difference),
                Err(_) => {}
                Ok(forks) => {
                    agreed = Ok(());
                    forks_before = forks_before.into_iter().chain(forks).min();
                }
            }
            let is_known = forks_before.is_some() || !self.counts_forks || agreed.is_err();
            if comparison >= COMPARISONS && is_known {
                break;
            }
        }
        agreed?;
        self.forks_before = forks_before.filter(|_| self.counts_forks);
        if self.counts_forks && self.forks_before.is_none() {
            tracing::info!(
                "tasks are made too fast to tell how many were made before the start: /proc/stat is read at each tick of cpu_stats"
            );
        }
        Ok(())
    }

    /// Compares once. Tells how many tasks were made before the programs
    /// counted them, unless one was made meanwhile; or how the times differ.
    fn compare(&mut self, ebpf: &Ebpf) -> Result<Result<Option<u64>, String>, String> {
        const PATH: &str = "/proc/stat";
        self.read(ebpf).map_err(|error| error.to_string())?;
        let before = self.stats(0);
        let text = read_kernel_file(PATH).map_err(|error| format!("{PATH}: {error}"))?;
        self.read(ebpf).map_err(|error| error.to_string())?;
        let after = self.stats(0);
        let file = proc_stat::parse(&text)
            .map_err(|error| format!("{PATH}: {error}"))?
            .cpu_stats;
        let agreed = cpu_check::compare(&before, &file, &after);
        // A task may be in the file and not have been counted yet: so the least
        // is taken of what several comparisons tell.
        let forks = file.forks.filter(|_| before.forks == after.forks);
        Ok(agreed.map(|()| forks?.checked_sub(after.forks?)))
    }

    /// What `/proc/stat` would tell, as of the last reading; `None` if that is
    /// not known to be right.
    pub(super) fn cpu_stats(&self) -> Option<CpuStats> {
        self.forks_before.map(|before| self.stats(before))
    }

    /// The CPUs on which tasks may run, as of the last reading.
    pub(super) fn online(&self) -> impl Iterator<Item = u32> {
        (0..)
            .zip(&self.readings)
            .filter(|(_cpu, reading)| reading.is_online != 0)
            .map(|(cpu, _reading)| cpu)
    }

    /// Whether [`cpu_stats`](Self::cpu_stats) can be had.
    pub(super) const fn has_stats(&self) -> bool {
        self.forks_before.is_some()
    }

    /// What was read last of a CPU; `None` if that has switched since.
    pub(super) fn reading(&self, cpu: u32, noted: &CpuCounters) -> Option<&CpuReading> {
        self.readings
            .get(cpu as usize)
            .filter(|reading| reading.at_ns != 0 && reading.noted_ns == noted.since_ns)
    }

    fn stats(&self, forks_before: u64) -> CpuStats {
        let mut stats = CpuStats::default();
        let mut forks = forks_before.saturating_add(self.forks_missed);
        let (mut running, mut blocked) = (0, 0);
        let found = (0..).zip(&self.readings);
        for (cpu, reading) in found.filter(|(_cpu, reading)| reading.queue != 0) {
            let row = times(cpu, reading, self.idle_in);
            cpu_states::add(&mut stats.total, &row);
            forks = forks.saturating_add(reading.forks);
            blocked += u64::from(reading.waiting_for_io);
            if reading.is_online != 0 {
                running += u64::from(reading.running);
                stats.cpus.push(row);
            }
        }
        stats.forks = Some(forks);
        stats.procs_running = Some(running);
        stats.procs_blocked = Some(blocked);
        stats
    }
}

/// Why the program is not used, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unused {
    pub(super) reason: String,
    pub(super) advice: String,
}

impl Unused {
    /// That it tells other times than `/proc/stat`, where these CPUs are
    /// present and online.
    fn because(difference: &str, present: &[u32], online: &[u32]) -> Self {
        let mut reason = format!("it does not tell the times of /proc/stat: {difference}");
        let mut advice = "nothing is missing but what a thread that has a CPU has used of it: \
                          /proc/stat is read in its place"
            .to_owned();
        let offline = present.iter().find(|cpu| !online.contains(cpu));
        if let Some(cpu) = offline {
            let _ = write!(
                reason,
                "; CPU {cpu} is offline, and what it did before cannot be found until it is online"
            );
            advice = format!(
                "start the agent while the CPU is online: write 1 to \
                 /sys/devices/system/cpu/cpu{cpu}/online, then restart it"
            );
        }
        Self { reason, advice }
    }
}

fn program(ebpf: &Ebpf) -> io::Result<&RawTracePoint> {
    ebpf.program(PROGRAM)
        .ok_or_else(|| io::Error::other("the object has no program read_cpus"))?
        .try_into()
        .map_err(|error| io::Error::other(with_causes(&error)))
}

#[cfg(test)]
mod tests {
    use super::Unused;

    #[test]
    fn a_cpu_that_is_offline_at_the_start_is_named_with_what_would_help() {
        let unused = Unused::because("all CPUs: 7 ns of user time", &[0, 1, 2], &[0, 2]);
        assert!(unused.reason.contains("CPU 1 is offline"), "{unused:?}");
        assert!(unused.advice.contains("cpu1/online"), "{unused:?}");
        let unused = Unused::because("all CPUs: 7 ns of user time", &[0, 1], &[0, 1]);
        assert!(!unused.reason.contains("offline"), "{unused:?}");
        assert!(!unused.advice.contains("kernel"), "{unused:?}");
    }
}
