//! The sizes of the maps.

use std::io;

use collector_ebpf::{Cpu, CpuReading, DIRTY_PAGE, ExecEvent, PREEMPTIONS_MAX, TaskEntry, Thread};

use super::LoadOptions;
use crate::source::{ParseError, read_kernel_file, sysfs::parse_cpu_list};

/// The size of the ring buffer: some thousands of lifecycle events.
const EVENTS_BYTES: u32 = 1 << 20;

/// The size of the cache of slots by thread ID: 65,536 entries of 4 bytes.
const SLOT_CACHE_BYTES: u64 = 1 << 18;

/// The sizes of the maps on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) cpus: u32,
    pub(super) threads: u32,
    pub(super) events_bytes: u32,
    pub(super) preemption_pairs: u32,
}

impl Sizes {
    /// The sizes for this host.
    pub(super) fn of_this_host() -> Result<Self, PossibleCpusError> {
        Ok(Self::choose(possible_cpus()?, pid_max()))
    }

    /// 16,384 thread records per CPU, at least 65,536 and at most 262,144, but not
    /// more than the kernel allows threads.
    pub(super) fn choose(possible_cpus: u32, pid_max: u32) -> Self {
        let wanted = possible_cpus.saturating_mul(16_384).clamp(65_536, 262_144);
        let threads = wanted.min(pid_max).max(DIRTY_PAGE as u32);
        Self {
            cpus: possible_cpus,
            threads: threads.next_multiple_of(DIRTY_PAGE as u32),
            events_bytes: EVENTS_BYTES,
            preemption_pairs: PREEMPTIONS_MAX as u32,
        }
    }

    /// These sizes, with those that the options have instead.
    pub(super) fn with_options(self, options: &LoadOptions) -> Self {
        let page = DIRTY_PAGE as u32;
        let records = |records: u32| records.clamp(page, u32::MAX / 2).next_multiple_of(page);
        Self {
            threads: options.thread_records.map_or(self.threads, records),
            events_bytes: options.events_bytes.unwrap_or(self.events_bytes),
            preemption_pairs: options.preemption_pairs.unwrap_or(self.preemption_pairs),
            ..self
        }
    }

    /// The number of elements of `DIRTY`.
    pub(super) const fn dirty_pages(self) -> u32 {
        self.threads / DIRTY_PAGE as u32
    }

    /// The kernel memory that the maps take, in bytes.
    ///
    /// - `CPUS`: a [`Cpu`] each. `CPU_TIMES`: a [`CpuReading`] each.
    /// - `THREADS`: a [`Thread`] each, and a byte in `DIRTY`.
    /// - `TASK_TO_SLOT`: 64 bytes an element (`struct htab_elem` has 48, then key
    ///   and value of 8 each), and 16 bytes per bucket, of which there are as
    ///   many as elements, rounded up to a power of two.
    /// - `FREE_SLOTS`: 4 bytes each. `EVENTS`: its size.
    /// - `SLOT_CACHE`: [`SLOT_CACHE_BYTES`].
    /// - `PREEMPTIONS`: as `TASK_TO_SLOT`, with a key of 16 bytes.
    /// - `EXEC_SCRATCH`, `ENTRY_SCRATCH`: an [`ExecEvent`] and a [`TaskEntry`]
    ///   for each CPU.
    pub(super) fn bytes(self) -> u64 {
        let threads = u64::from(self.threads);
        let records = threads * (size_of::<Thread>() as u64 + 1);
        let pairs = u64::from(self.preemption_pairs);
        let task_to_slot = threads * 64 + threads.next_power_of_two() * 16;
        let per_cpu = size_of::<Cpu>()
            + size_of::<CpuReading>()
            + size_of::<ExecEvent>()
            + size_of::<TaskEntry>();
        u64::from(self.cpus) * per_cpu as u64
            + records
            + task_to_slot
            + threads * 4
            + u64::from(self.events_bytes)
            + SLOT_CACHE_BYTES
            + pairs * (48 + 24)
            + pairs.next_power_of_two() * 16
    }

    /// The facts for `doctor`.
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

/// The kernel memory that the maps take, in bytes, on a host with this number of
/// possible CPUs and this `pid_max`: by the formula in `docs/architecture.md`.
pub fn map_bytes(possible_cpus: u32, pid_max: u32) -> u64 {
    Sizes::choose(possible_cpus, pid_max).bytes()
}

const POSSIBLE: &str = "/sys/devices/system/cpu/possible";

/// The number of possible CPUs is unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PossibleCpusError {
    /// The file could not be read.
    #[error("cannot read {POSSIBLE}: {0}")]
    Read(#[source] io::Error),
    /// The file is malformed.
    #[error("{POSSIBLE}: {0}")]
    Parse(#[source] ParseError),
    /// The list is empty.
    #[error("{POSSIBLE} is empty")]
    Empty,
}

/// The highest number of a possible CPU, plus one.
fn possible_cpus() -> Result<u32, PossibleCpusError> {
    let text = read_kernel_file(POSSIBLE).map_err(PossibleCpusError::Read)?;
    let cpus = parse_cpu_list(&text).map_err(PossibleCpusError::Parse)?;
    let highest = cpus.iter().max().ok_or(PossibleCpusError::Empty)?;
    Ok(highest.saturating_add(1))
}

/// The highest thread ID, plus one.
pub(crate) fn pid_max() -> u32 {
    read_kernel_file("/proc/sys/kernel/pid_max")
        .ok()
        .and_then(|text| str::from_utf8(&text).ok()?.trim().parse().ok())
        .unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use collector_ebpf::DIRTY_PAGE;

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
    fn thread_records_of_the_options_are_rounded_up() {
        let asked = |thread_records| {
            let options = LoadOptions {
                thread_records: Some(thread_records),
                ..LoadOptions::default()
            };
            Sizes::choose(2, 4_194_304).with_options(&options).threads
        };
        assert_eq!(asked(0), DIRTY_PAGE as u32);
        assert_eq!(asked(5_000), 2 * DIRTY_PAGE as u32);
        assert_eq!(asked(u32::MAX) % DIRTY_PAGE as u32, 0);
    }

    #[test]
    fn there_are_no_more_records_than_the_kernel_allows_threads() {
        assert_eq!(Sizes::choose(2, 32_768).threads, 32_768);
        assert_eq!(Sizes::choose(2, 301).threads, DIRTY_PAGE as u32);
        assert_eq!(Sizes::choose(2, 33_000).threads % DIRTY_PAGE as u32, 0);
    }
}
