//! How large the maps are.

use std::fmt::Display;

use collector_ebpf::{
    Cpu, CpuReading, ExecEvent, PREEMPTIONS_MAX, TOUCHED_PAGE, TaskEntry, Thread,
};

use super::super::{LoadError, LoadOptions};
use crate::source::{read_kernel_file, sysfs::parse_cpu_list};

/// The ring buffer: some thousands of lifecycle events.
const EVENTS_BYTES: u32 = 1 << 20;

/// The table that remembers where the record of a task was found: 65,536
/// places of 4 bytes.
const RECENT_BYTES: u64 = 1 << 18;

/// The sizes of the maps on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source::ebpf) struct Sizes {
    pub(super) cpus: u32,
    pub(super) threads: u32,
    pub(super) events_bytes: u32,
    pub(super) preemption_pairs: u32,
}

impl Sizes {
    /// Those that suit this host.
    pub(super) fn of_this_host() -> Result<Self, LoadError> {
        Ok(Self::choose(possible_cpus()?, pid_max()))
    }

    /// Room for 16,384 threads a CPU, at least 65,536 and at most 262,144,
    /// but not for more than the kernel would make.
    pub(in crate::source::ebpf) fn choose(possible_cpus: u32, pid_max: u32) -> Self {
        let wanted = possible_cpus.saturating_mul(16_384).clamp(65_536, 262_144);
        let threads = wanted.min(pid_max).max(TOUCHED_PAGE as u32);
        Self {
            cpus: possible_cpus,
            threads: threads.next_multiple_of(TOUCHED_PAGE as u32),
            events_bytes: EVENTS_BYTES,
            preemption_pairs: PREEMPTIONS_MAX as u32,
        }
    }

    /// What was asked for, instead of what suits the host.
    pub(super) fn or_as_asked(self, options: &LoadOptions) -> Self {
        let page = TOUCHED_PAGE as u32;
        let records = |records: u32| records.clamp(page, u32::MAX / 2).next_multiple_of(page);
        Self {
            threads: options.thread_records.map_or(self.threads, records),
            events_bytes: options.events_bytes.unwrap_or(self.events_bytes),
            preemption_pairs: options.preemption_pairs.unwrap_or(self.preemption_pairs),
            ..self
        }
    }

    /// How many elements `TOUCHED` has.
    pub(super) const fn touched_pages(self) -> u32 {
        self.threads / TOUCHED_PAGE as u32
    }

    /// The kernel memory that the maps take, in bytes.
    ///
    /// - `CPUS`: a [`Cpu`] each. `CPU_TIMES`: a [`CpuReading`] each.
    /// - `THREADS`: a [`Thread`] each, and a byte in `TOUCHED`.
    /// - `THREAD_OF`: 64 bytes an element (`struct htab_elem` has 48, then key
    ///   and value of 8 each), and 16 bytes a bucket, of which there are as
    ///   many as elements, rounded up to a power of two.
    /// - `FREE`: 4 bytes each. `EVENTS`: its size.
    /// - `RECENT`: [`RECENT_BYTES`].
    /// - `PREEMPTIONS`: as `THREAD_OF`, with a key of 16 bytes.
    /// - `EXEC_SCRATCH`, `ENTRY_SCRATCH`: an [`ExecEvent`] and a [`TaskEntry`]
    ///   for each CPU.
    pub(in crate::source::ebpf) fn bytes(self) -> u64 {
        let threads = u64::from(self.threads);
        let records = threads * (size_of::<Thread>() as u64 + 1);
        let pairs = u64::from(self.preemption_pairs);
        let lookup = threads * 64 + threads.next_power_of_two() * 16;
        let of_a_cpu = size_of::<Cpu>()
            + size_of::<CpuReading>()
            + size_of::<ExecEvent>()
            + size_of::<TaskEntry>();
        u64::from(self.cpus) * of_a_cpu as u64
            + records
            + lookup
            + threads * 4
            + u64::from(self.events_bytes)
            + RECENT_BYTES
            + pairs * (48 + 24)
            + pairs.next_power_of_two() * 16
    }

    /// What `doctor` tells of them.
    pub(super) fn facts(self) -> Vec<(String, String)> {
        vec![
            ("possible CPUs".to_owned(), self.cpus.to_string()),
            ("thread records".to_owned(), self.threads.to_string()),
            (
                "kernel memory of the maps".to_owned(),
                format!("{:.1} MiB", self.bytes() as f64 / 1_048_576.0),
            ),
        ]
    }
}

/// One more than the highest number that a CPU of this host can have.
fn possible_cpus() -> Result<u32, LoadError> {
    const PATH: &str = "/sys/devices/system/cpu/possible";
    let problem = |problem: &dyn Display| LoadError::Other(format!("{PATH}: {problem}"));
    let text = read_kernel_file(PATH).map_err(|error| problem(&error))?;
    let cpus = parse_cpu_list(&text).map_err(|error| problem(&error))?;
    let highest = cpus.iter().max().ok_or_else(|| problem(&"it is empty"))?;
    Ok(highest.saturating_add(1))
}

/// The highest number that a thread can have.
pub(in crate::source::ebpf) fn pid_max() -> u32 {
    read_kernel_file("/proc/sys/kernel/pid_max")
        .ok()
        .and_then(|text| str::from_utf8(&text).ok()?.trim().parse().ok())
        .unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use collector_ebpf::TOUCHED_PAGE;

    use super::{LoadOptions, Sizes};

    #[test]
    fn the_maps_fit_their_budgets() {
        let small = Sizes::choose(2, 4_194_304);
        assert_eq!(small.threads, 65_536);
        assert!(
            small.bytes() <= 16 << 20,
            "{} bytes on 2 CPUs",
            small.bytes()
        );
        let large = Sizes::choose(256, 4_194_304);
        assert_eq!(large.threads, 262_144);
        assert!(
            large.bytes() <= 64 << 20,
            "{} bytes on 256 CPUs",
            large.bytes()
        );
    }

    #[test]
    fn what_is_asked_for_is_rounded_to_what_the_maps_can_have() {
        let asked = |thread_records| {
            let options = LoadOptions {
                thread_records: Some(thread_records),
                ..LoadOptions::default()
            };
            Sizes::choose(2, 4_194_304).or_as_asked(&options).threads
        };
        assert_eq!(asked(0), TOUCHED_PAGE as u32);
        assert_eq!(asked(5_000), 2 * TOUCHED_PAGE as u32);
        assert_eq!(asked(u32::MAX) % TOUCHED_PAGE as u32, 0);
    }

    #[test]
    fn no_more_records_than_the_kernel_makes_threads() {
        assert_eq!(Sizes::choose(2, 32_768).threads, 32_768);
        assert_eq!(Sizes::choose(2, 301).threads, TOUCHED_PAGE as u32);
        assert_eq!(Sizes::choose(2, 33_000).threads % TOUCHED_PAGE as u32, 0);
    }
}
