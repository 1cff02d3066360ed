use std::{ops::Range, ptr};

use aya::{
    Ebpf,
    programs::{RawTracePoint, RawTracePointRunOptions, TestRun as _},
};
use collector_ebpf::{CpuCounters, CpuReading};

use super::{
    CpuTimesError, CpuTimesUnused,
    check::{Difference, compare},
    states::{add, times},
};
use crate::{
    metric::CpuStats,
    source::{
        bpf::{events::MissedRuns, maps::MappedArray},
        procfs::proc_stat,
        read_kernel_file,
        sysfs::parse_cpu_list,
    },
};

/// The program that reads the CPUs.
pub(crate) const PROGRAM: &str = "read_cpus";

/// The most attempts to read CPUs of which one changes while it is read.
const ATTEMPTS: u32 = 8;

/// The number of comparisons with `/proc/stat`, of which one has to succeed: the
/// times change between the reads.
const COMPARISONS: u32 = 5;

/// The most comparisons until no task is created between the reads.
const MAX_COMPARISONS: u32 = 64;

/// Reads the kernel's accounting of each CPU by running the program `read_cpus`:
/// a system call per 8 CPUs, and no file. Possible CPUs that were never online
/// are skipped, 256 per run.
///
/// # Minimum kernel version
///
/// 5.10: <https://git.kernel.org/torvalds/c/1b4d60ec162f>
#[derive(Debug)]
pub(crate) struct CpuTimesReader {
    map: MappedArray<CpuReading>,
    idle_in: u32,
    /// Whether the program that counts forks is attached.
    counts_forks: bool,
    /// Runs of that program that the kernel skipped, and their number at the last
    /// read.
    missed_runs: Option<MissedRuns>,
    forks_missed: u64,
    /// Each CPU as last read.
    readings: Vec<CpuReading>,
    /// The forks before the program that counts them was attached; `None` if
    /// unknown, or until the times have been compared with `/proc/stat`.
    forks_before: Option<u64>,
}

impl CpuTimesReader {
    pub(in crate::source::bpf) fn new(
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

    /// Runs the program once on each CPU, to find the addresses of their run
    /// queues. That of an offline CPU is found when it comes online.
    fn find_run_queues(&self, ebpf: &Ebpf) -> Result<(), CpuTimesError> {
        let program = program(ebpf)?;
        for cpu in 0..self.map.len() {
            let options = RawTracePointRunOptions {
                args: [u64::MAX; 12],
                cpu: Some(cpu),
            };
            if let Err(error) = program.test_run(options) {
                tracing::debug!(cpu, %error, "the program cannot be run on a CPU");
            }
        }
        Ok(())
    }

    /// Reads all CPUs.
    pub(in crate::source::bpf) fn read(&mut self, ebpf: &Ebpf) -> Result<(), CpuTimesError> {
        let program = program(ebpf)?;
        let mut first = 0;
        while first < self.map.len() {
            let mut next = first;
            for _ in 0..ATTEMPTS {
                let mut options = RawTracePointRunOptions::new();
                options.args[0] = u64::from(first);
                next = program.test_run(options)?.return_value;
                if self.copy(first..next) {
                    break;
                }
            }
            if next <= first {
                return Err(CpuTimesError::Stopped(first));
            }
            first = next;
        }
        // Each skipped run is a fork.
        if let Some(missed) = &mut self.missed_runs {
            self.forks_missed = missed.count();
        }
        Ok(())
    }

    /// Copies these CPUs from the map; false if one of them changed while it was
    /// read, which keeps its last values.
    fn copy(&mut self, cpus: Range<u32>) -> bool {
        let mut are_consistent = true;
        for cpu in cpus.filter(|cpu| is_known(&self.map, *cpu)) {
            if let Some(reading) = self.map.read(cpu)
                && let Some(kept) = self.readings.get_mut(cpu as usize)
            {
                if reading.is_consistent == 0 {
                    are_consistent = false;
                } else {
                    *kept = reading;
                }
            }
        }
        are_consistent
    }

    /// Compares the times with `/proc/stat`, and computes the number of forks
    /// before the programs were attached.
    ///
    /// # Errors
    ///
    /// If they differ: then the reader must not be used.
    pub(in crate::source::bpf) fn check(&mut self, ebpf: &Ebpf) -> Result<(), CpuTimesUnused> {
        self.compare_repeatedly(ebpf).map_err(|error| {
            let list = |name: &str| {
                let text = read_kernel_file(&format!("/sys/devices/system/cpu/{name}")).ok()?;
                parse_cpu_list(&text).ok()
            };
            let of = |lists: Option<(Vec<u32>, Vec<u32>)>| lists.unwrap_or_default();
            let (present, online) = of(list("present").zip(list("online")));
            CpuTimesUnused::because(&error, &present, &online)
        })
    }

    fn compare_repeatedly(&mut self, ebpf: &Ebpf) -> Result<(), CpuTimesError> {
        self.find_run_queues(ebpf)?;
        let mut forks_before = None;
        let mut has_agreed = false;
        let mut difference = None;
        for comparison in 1..=MAX_COMPARISONS {
            match self.compare_once(ebpf)? {
                Err(found) => difference = Some(found),
                Ok(forks) => {
                    has_agreed = true;
                    forks_before = forks_before.into_iter().chain(forks).min();
                }
            }
            let is_known = forks_before.is_some() || !self.counts_forks || !has_agreed;
            if comparison >= COMPARISONS && is_known {
                break;
            }
        }
        if let Some(difference) = difference.filter(|_| !has_agreed) {
            return Err(difference.into());
        }
        self.forks_before = forks_before.filter(|_| self.counts_forks);
        if self.counts_forks && self.forks_before.is_none() {
            tracing::info!(
                "tasks are created too fast to compute the number of forks before the start: /proc/stat is read at each tick of cpu_stats"
            );
        }
        Ok(())
    }

    /// Compares once. Returns the number of forks before the programs were
    /// attached, unless there was one meanwhile; or how the times differ.
    fn compare_once(
        &mut self,
        ebpf: &Ebpf,
    ) -> Result<Result<Option<u64>, Difference>, CpuTimesError> {
        const PATH: &str = "/proc/stat";
        self.read(ebpf)?;
        let before = self.stats(0);
        let text = read_kernel_file(PATH).map_err(CpuTimesError::ReadProcStat)?;
        self.read(ebpf)?;
        let after = self.stats(0);
        let file = proc_stat::parse(&text)
            .map_err(CpuTimesError::ParseProcStat)?
            .cpu_stats;
        let compared = compare(&before, &file, &after);
        // A fork may be in the file and not be counted by the program yet: so
        // the minimum of several comparisons is used.
        let forks = file.forks.filter(|_| before.forks == after.forks);
        Ok(compared.map(|()| forks?.checked_sub(after.forks?)))
    }

    /// What `/proc/stat` would show, as of the last read; `None` if it is to be
    /// read instead.
    pub(crate) fn cpu_stats(&self) -> Option<CpuStats> {
        self.forks_before.map(|before| self.stats(before))
    }

    /// The online CPUs, as of the last read.
    pub(crate) fn online(&self) -> impl Iterator<Item = u32> {
        (0..)
            .zip(&self.readings)
            .filter(|(_cpu, reading)| reading.is_online != 0)
            .map(|(cpu, _reading)| cpu)
    }

    /// Whether [`cpu_stats`](Self::cpu_stats) is not `None`.
    pub(crate) const fn has_stats(&self) -> bool {
        self.forks_before.is_some()
    }

    /// A CPU as last read; `None` if it has switched tasks since.
    pub(crate) fn reading(&self, cpu: u32, counters: &CpuCounters) -> Option<&CpuReading> {
        self.readings
            .get(cpu as usize)
            .filter(|reading| reading.at_ns != 0 && reading.switched_in_ns == counters.since_ns)
    }

    fn stats(&self, forks_before: u64) -> CpuStats {
        let mut stats = CpuStats::default();
        let mut forks = forks_before.saturating_add(self.forks_missed);
        let (mut running, mut blocked) = (0, 0);
        let found = (0..).zip(&self.readings);
        for (cpu, reading) in found.filter(|(_cpu, reading)| reading.rq != 0) {
            let row = times(cpu, reading, self.idle_in);
            add(&mut stats.total, &row);
            forks = forks.saturating_add(reading.forks);
            blocked += u64::from(reading.nr_iowait);
            if reading.is_online != 0 {
                running += u64::from(reading.nr_running);
                stats.cpus.push(row);
            }
        }
        stats.forks = Some(forks);
        stats.procs_running = Some(running);
        stats.procs_blocked = Some(blocked);
        stats
    }
}

/// Whether the run queue of a CPU is known, so that its element was written.
fn is_known(map: &MappedArray<CpuReading>, cpu: u32) -> bool {
    map.element(cpu).is_some_and(|element| {
        // SAFETY: the field is within the mapping and aligned.
        let rq = unsafe { ptr::read_volatile(&raw const (*element).rq) };
        rq != 0
    })
}

fn program(ebpf: &Ebpf) -> Result<&RawTracePoint, CpuTimesError> {
    let program = ebpf.program(PROGRAM).ok_or(CpuTimesError::NoProgram)?;
    Ok(program.try_into()?)
}
